"""Search over docids of one symbol: the same as beam search, in chunks."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import UserError
from genret.decoding import atomic
from genret.decoding.atomic import AtomicIndex
from genret.decoding.beam_search import beam_search
from genret.decoding.device_trie import DeviceTrie, Level
from genret.decoding.trie import Trie

VOCAB_SIZE = 200
SIZE = 512  # of every index here, so that programs are shared


@flax.struct.dataclass(kw_only=True)
class GivenLogits:
  """Predicts what the query says: no arithmetic, so ties are ties."""

  padding: int = flax.struct.field(pytree_node=False, default=0)

  def start(self, encoded):
    return encoded

  def step(self, cache, parents, symbols, t):
    return cache[:, None, None], cache

  def logits(self, hidden, t):
    columns = [(0, 0), (0, 0), (0, self.padding)]
    return jnp.pad(hidden, columns, constant_values=-1e9)

  def logits_at(self, hidden, t, candidates):
    return jnp.take_along_axis(hidden, candidates, axis=-1)

  def logits_between(self, hidden, first, *, width):
    head = self.logits(hidden[:, None], 0)[:, 0]
    return jax.lax.dynamic_slice_in_dim(head, first, width, axis=1)


def jitted(function):
  static = ("num_beams", "scoring", "recall_target")
  compiled = jax.jit(
    function,
    static_argnames=static if function is atomic.search else static[:2],
  )
  return lambda *args, **kwargs: jax.device_get(compiled(*args, **kwargs))


search = jitted(atomic.search)
beam = jitted(beam_search)


def whole(trie):
  """The trie as beam search takes it, in one shape."""
  placed = DeviceTrie.place(trie, round_up=lambda size: SIZE)
  widest = Level.bound(np.full(1, trie.vocab_size), prefixes=SIZE)
  return placed.replace(levels=(widest,))


def chunked(trie, chunk):
  return AtomicIndex.place(trie, chunk=chunk, round_up=lambda size: SIZE)


def same(found, want):
  assert found.rows.tolist() == want.rows.tolist()
  assert found.valid.tolist() == want.valid.tolist()
  # Rounded as the logits are, which are 8 at most.
  np.testing.assert_allclose(found.scores, want.scores, atol=4e-6)


@pytest.mark.parametrize("chunk", [7, 128, 1000])
@pytest.mark.parametrize("scoring", ["raw", "renormalised"])
@settings(deadline=None, max_examples=25)
@given(
  num=st.integers(1, 300),
  contiguous=st.booleans(),
  num_beams=st.sampled_from([3, 256]),
  levels=st.sampled_from([1, 3, 1000]),
  impossible=st.sampled_from([0, 0.5]),
  seed=st.integers(0, 2**32 - 1),
)
def test_the_same_as_beam_search(
  chunk,
  scoring,
  num,
  contiguous,
  num_beams,
  levels,
  impossible,
  seed,
):
  """Logits of few levels tie in and across chunks; -inf is not returned."""
  rng = np.random.default_rng(seed)
  if contiguous:
    codes = 2 + np.arange(min(num, VOCAB_SIZE - 2))[:, None]
  else:  # sparse, with collisions
    codes = rng.integers(1, VOCAB_SIZE, (num, 1))
  logits = rng.integers(0, levels, (2, VOCAB_SIZE)) * 8.0 / levels
  logits[rng.random(logits.shape) < impossible] = -np.inf
  logits[:, codes[0]] = 1  # at least one is possible
  trie = Trie.build(codes, VOCAB_SIZE)
  decoder = GivenLogits(padding=56 if scoring == "raw" else 0)
  encoded = jnp.float32(logits)
  kwargs = {"num_beams": num_beams, "scoring": scoring}
  same(
    search(decoder, encoded, chunked(trie, chunk), **kwargs),
    beam(decoder, encoded, whole(trie), **kwargs),
  )


@pytest.mark.parametrize("chunk", [50, 302])
@pytest.mark.parametrize("num_beams", [7, 400])
def test_a_decoder_that_computes(toy, chunk, num_beams):
  decoder = toy.decoder(vocab_size=302, length=1)
  encoded = toy.queries(3)
  codes = np.random.default_rng(0).permutation(300)[:, None] + 2
  trie = Trie.build(codes, 302)
  found = search(decoder, encoded, chunked(trie, chunk), num_beams=num_beams)
  want = beam(decoder, encoded, DeviceTrie.place(trie), num_beams=num_beams)
  assert found.rows.tolist() == want.rows.tolist()
  np.testing.assert_allclose(found.scores, want.scores, atol=1e-5)


def test_by_hand():
  """P = .1, .2, .3, .4 of symbols 1 to 4; docids are 2 and 4."""
  trie = Trie.build(np.array([[4], [2], [4]]), 5)
  logits = jnp.log(jnp.array([[0, 0.1, 0.2, 0.3, 0.4]]))
  index = AtomicIndex.place(trie, chunk=2)
  raw = search(GivenLogits(), logits, index, num_beams=3)
  assert raw.rows.tolist() == [[1, 0, -1]]
  assert raw.valid.tolist() == [[True, True, False]]
  np.testing.assert_allclose(np.exp(raw.scores), [[0.4, 0.2, 0]], 1e-6)
  among = search(
    GivenLogits(), logits, index, num_beams=3, scoring="renormalised"
  )
  assert among.rows.tolist() == raw.rows.tolist()
  np.testing.assert_allclose(np.exp(among.scores), [[2 / 3, 1 / 3, 0]], 1e-6)


def test_scores_that_rounding_made_equal_stand_in_docid_order():
  logits = np.full((1, 40), 100, np.float32)
  logits[0, 30] = 2**-20
  logits[0, 20] = np.nextafter(logits[0, 30], np.float32(0))
  trie = Trie.build(np.array([[20], [30]]), 40)
  found = search(GivenLogits(), logits, chunked(trie, 16), num_beams=2)
  assert found.scores[0, 0] == found.scores[0, 1]
  assert found.rows.tolist() == [[0, 1]]


def test_no_docid_is_possible():
  trie = Trie.build(np.array([[2], [3]]), 5)
  logits = jnp.log(jnp.array([[0, 1.0, 0, 0, 1.0]]))
  for scoring in ("raw", "renormalised"):
    found = search(
      GivenLogits(),
      logits,
      chunked(trie, 2),
      num_beams=2,
      scoring=scoring,
    )
    assert not found.valid.any()
    assert np.isneginf(found.scores).all()


def test_the_approximation_is_exact_on_cpu():
  trie = Trie.build(np.arange(2, VOCAB_SIZE)[:, None], VOCAB_SIZE)
  logits = np.random.default_rng(0).permutation(2 * VOCAB_SIZE)
  logits = jnp.float32(logits.reshape(2, -1) / VOCAB_SIZE)
  arguments = GivenLogits(), logits, chunked(trie, 64)
  found = search(*arguments, num_beams=10, recall_target=0.5)
  same(found, search(*arguments, num_beams=10))


def test_the_scores_of_all_symbols_are_never_in_memory(toy):
  vocab_size, batch = 100_000, 8
  decoder = toy.decoder(vocab_size=vocab_size, length=1)
  trie = Trie.build(np.arange(2, vocab_size)[:, None], vocab_size)
  index = AtomicIndex.place(trie, chunk=4096)
  program = jax.jit(atomic.search, static_argnames="num_beams")
  lowered = program.lower(decoder, toy.queries(batch), index, num_beams=10)
  memory = lowered.compile().memory_analysis().temp_size_in_bytes
  assert memory < 4 * batch * vocab_size / 4
  assert f"{batch}x{vocab_size}x" not in lowered.as_text()


def test_collections_of_about_a_size_share_a_program():
  program = jax.jit(atomic.search, static_argnames="num_beams")
  before = program._cache_size()
  for num in (180, 181, 182):
    codes = 2 + np.random.default_rng(num).permutation(198)[:num, None]
    index = AtomicIndex.place(Trie.build(codes, VOCAB_SIZE), chunk=64)
    logits = jnp.zeros((1, VOCAB_SIZE))
    found = program(GivenLogits(), logits, index, num_beams=3)
    assert found.rows.tolist() == [[0, 1, 2]]
  assert program._cache_size() == before + 1


def test_what_cannot_be_searched_is_refused():
  trie = Trie.build(np.array([[2], [3]]), 4)
  index = AtomicIndex.place(trie)
  arguments = GivenLogits(), jnp.zeros((1, 4))
  with pytest.raises(UserError, match="one symbol, these up to 2"):
    AtomicIndex.place(Trie.build(np.array([[2, 2], [3, 3]]), 4))
  with pytest.raises(UserError, match="at least 1 symbol, got 0"):
    AtomicIndex.place(trie, chunk=0)
  with pytest.raises(UserError, match="num_beams must be at least 1"):
    atomic.search(*arguments, index, num_beams=0)
  with pytest.raises(UserError, match="'renormalised'"):
    atomic.search(*arguments, index, num_beams=1, scoring="renormalized")
  with pytest.raises(UserError, match="recall_target is a share"):
    atomic.search(*arguments, index, num_beams=1, recall_target=1.0)
