"""Beam search over all symbols against a slow one over all prefixes."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from genret.core.errors import UserError
from genret.decoding import unconstrained

jitted = jax.jit(
  unconstrained.search, static_argnames=("length", "num_beams", "end")
)


def search(*args, **kwargs):
  return jax.device_get(jitted(*args, **kwargs))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slow:
  """What the slow search found, and how clear its decisions were."""

  ranking: list  # (sequence, score), best first
  margin: float  # least score between a prefix kept and one dropped


def slow_search(decoder, query, *, length, num_beams, end):
  """Beam search over all prefixes, in NumPy, one query at a time."""
  beams, margin = [((), 0.0)], np.inf
  for _ in range(length):
    candidates = [beam for beam in beams if end in beam[0]]
    growing = [beam for beam in beams if end not in beam[0]]
    if not growing:
      break
    logits = decoder.prefix_logits(query, [prefix for prefix, _ in growing])
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    for (prefix, score), row in zip(growing, log_probabilities, strict=True):
      candidates += [
        ((*prefix, symbol), score + row[symbol])
        for symbol in range(1, len(row))
      ]
    candidates.sort(key=lambda beam: (-beam[1], beam[0]))
    beams, dropped = candidates[:num_beams], candidates[num_beams:]
    if dropped:
      margin = min(margin, beams[-1][1] - dropped[0][1])
  return Slow(ranking=beams, margin=margin)


def check(found, decoder, encoded, **setting):
  """All queries found what the slow search finds; near ties may swap."""
  for b, query in enumerate(np.asarray(encoded["query"])):
    slow = slow_search(decoder, query, **setting)
    assume(slow.margin > 1e-5)
    num, length = len(slow.ranking), setting["length"]
    of = {
      (*sequence, *[0] * (length - len(sequence))): score
      for sequence, score in slow.ranking
    }
    sequences = list(map(tuple, found.symbols[b, :num].tolist()))
    assert set(sequences) == set(of)
    for want in (list(of.values()), [of[s] for s in sequences]):
      np.testing.assert_allclose(found.scores[b, :num], want, atol=1e-5)
    assert found.valid[b, :num].all() and not found.valid[b, num:].any()
    assert np.isneginf(found.scores[b, num:]).all()
    assert not found.symbols[b, num:].any()


@pytest.mark.parametrize("end", [None, 1])
@pytest.mark.parametrize("num_beams", [1, 5, 20])
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_it_equals_a_slow_search(toy, num_beams, end, seed):
  """20 beams are more than there are symbols."""
  decoder, encoded = toy.decoder(seed=seed), toy.queries(seed=seed)
  setting = {"length": 4, "num_beams": num_beams, "end": end}
  check(search(decoder, encoded, **setting), decoder, encoded, **setting)


@pytest.mark.parametrize("num_beams", [2, 30, 400])
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_many_symbols_stand_in_blocks(toy, num_beams, seed):
  decoder = toy.decoder(vocab_size=300, seed=seed)
  encoded = toy.queries(seed=seed)
  setting = {"length": 2, "num_beams": num_beams, "end": 1}
  check(search(decoder, encoded, **setting), decoder, encoded, **setting)


def test_with_enough_beams_all_sequences_are_found_once(toy):
  decoder, encoded = toy.decoder(), toy.queries()
  found = search(decoder, encoded, length=3, num_beams=400)
  for b in range(2):
    assert found.valid[b].tolist() == [True] * 7**3 + [False] * 57
    sequences = {tuple(row) for row in found.symbols[b, : 7**3].tolist()}
    assert sequences == set(itertools.product(range(1, 8), repeat=3))
    assert (np.diff(found.scores[b, : 7**3]) <= 0).all()


def test_equal_scores_stand_in_the_order_of_the_sequences(toy):
  decoder = toy.decoder()
  decoder = decoder.replace(head=jnp.zeros_like(decoder.head))
  found = search(decoder, toy.queries(), length=2, num_beams=10)
  want = list(itertools.product(range(1, 8), repeat=2))[:10]
  assert found.symbols.tolist() == [[list(sequence) for sequence in want]] * 2
  np.testing.assert_allclose(np.exp(found.scores), 1 / 64, rtol=1e-5)


def test_a_finished_sequence_keeps_its_place_by_hand(toy):
  """The end at once has .4; 2 has .6, then the end or 2 with .5 each."""
  asked = []
  chain = toy.chain(
    table=jnp.array([[0, 0.4, 0.6], [0, 0, 0], [0, 0.5, 0.5]]),
    asked=lambda t: asked.append(int(t)),
  )
  found = search(chain, jnp.zeros((1, 1)), length=3, num_beams=3, end=1)
  assert found.symbols.tolist() == [[[1, 0, 0], [2, 1, 0], [2, 2, 1]]]
  np.testing.assert_allclose(np.exp(found.scores), [[0.4, 0.3, 0.15]], 1e-6)
  jax.effects_barrier()
  assert sorted(asked) == [0, 1, 2]


def test_the_walk_ends_when_all_have_ended(toy):
  asked = []
  chain = toy.chain(
    table=jnp.array([[0, 0.4, 0.6], [0, 0, 0], [0, 1, 0]]),
    asked=lambda t: asked.append(int(t)),
  )
  found = search(chain, jnp.zeros((1, 1)), length=8, num_beams=4, end=1)
  assert found.symbols[0, :, :2].tolist() == [[2, 1], [1, 0], [0, 0], [0, 0]]
  assert found.valid.tolist() == [[True, True, False, False]]
  jax.effects_barrier()
  assert sorted(asked) == [0, 1]


def test_pad_is_never_written_however_likely(toy):
  chain = toy.chain(table=jnp.array([[0.9, 0.06, 0.04]] * 3))
  found = search(chain, jnp.zeros((1, 1)), length=1, num_beams=3)
  assert found.symbols.tolist() == [[[1], [2], [0]]]
  assert found.valid.tolist() == [[True, True, False]]
  np.testing.assert_allclose(np.exp(found.scores), [[0.06, 0.04, 0]], 1e-6)


def test_what_cannot_be_searched_is_refused(toy):
  given = toy.decoder(), toy.queries()
  with pytest.raises(UserError, match="num_beams must be at least 1, got 0"):
    unconstrained.search(*given, length=2, num_beams=0)
  with pytest.raises(UserError, match="length must be at least 1, got 0"):
    unconstrained.search(*given, length=0, num_beams=1)
