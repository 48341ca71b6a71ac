import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from genret.core.errors import UserError
from genret.decoding.beam_search import beam_search
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.trie import Trie

BEAMS = (1, 7, 256)
tries = {
  "num": st.integers(1, 200),
  "num_symbols": st.integers(1, 6),
  "max_length": st.integers(1, 6),
  "eos": st.booleans(),
  "seed": st.integers(0, 2**32 - 1),
}


def random_codes(*, num, num_symbols, max_length, eos, seed):
  """Random docids of at most six symbols, many of them collisions."""
  rng = np.random.default_rng(seed)
  codes = np.zeros((num, 6), np.int32)
  codes[:, :max_length] = rng.integers(2, 2 + num_symbols, (num, max_length))
  if eos:
    ends = rng.integers(0, max_length, num)
    codes[np.arange(num), ends] = 1
    codes[np.arange(6) > ends[:, None]] = 0
  return codes


def docid(row):
  return tuple(int(symbol) for symbol in row if symbol)


def check_distinct_and_valid(beams, trie, num_beams):
  """As many docids as can be, each once, best first; then empty places."""
  rows, scores, valid = beams.rows, beams.scores, beams.valid
  assert rows.shape == scores.shape == valid.shape == (len(rows), num_beams)
  found = min(num_beams, trie.num_rows)
  assert valid[:, :found].all() and not valid[:, found:].any()
  assert (rows[:, found:] == -1).all()
  assert np.isneginf(scores[:, found:]).all()
  assert (np.diff(scores[:, :found]) <= 0).all()
  for row in rows[:, :found].tolist():
    assert len(set(row)) == found
    assert 0 <= min(row) and max(row) < trie.num_rows


def check_ranking(rows, scores, ranking):
  """The same docids with the same scores; only near ties may change places."""
  of = dict(ranking)
  assert len(rows) == len(set(rows)) == len(ranking)
  np.testing.assert_allclose(scores, [s for _, s in ranking], atol=1e-5)
  np.testing.assert_allclose(scores, [of[docid] for docid in rows], atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(**tries)
def test_as_many_beams_as_docids_give_the_exhaustive_ranking(toy, **kwargs):
  trie = Trie.build(random_codes(**kwargs), 8)
  placed = toy.place(trie)
  arguments = toy.decoder(), toy.queries(seed=kwargs["seed"]), placed
  beams = toy.search(*arguments, num_beams=256)
  check_distinct_and_valid(beams, trie, 256)
  oracle = toy.exhaustive(*arguments)
  num = trie.num_rows
  for b in range(2):
    check_ranking(
      beams.rows[b, :num].tolist(),
      beams.scores[b, :num],
      list(
        zip(oracle.rows[b, :num].tolist(), oracle.scores[b, :num], strict=True)
      ),
    )


@pytest.mark.parametrize("scoring", ["raw", "renormalised"])
@settings(deadline=None, max_examples=60)
@given(num_beams=st.sampled_from(BEAMS), **tries)
def test_beam_search_equals_a_slow_one_over_a_set_of_prefixes(
  toy, scoring, num_beams, **kwargs
):
  codes = random_codes(**kwargs)
  trie = Trie.build(codes, 8)
  decoder, encoded = toy.decoder(), toy.queries(seed=kwargs["seed"])
  slow = [
    toy.slow_search(
      decoder, query, map(docid, codes), num_beams=num_beams, scoring=scoring
    )
    for query in encoded["query"]
  ]
  assume(min(s.margin for s in slow) > 1e-4)
  beams = toy.search(
    decoder,
    encoded,
    toy.place(trie),
    num_beams=num_beams,
    scoring=scoring,
  )
  check_distinct_and_valid(beams, trie, num_beams)
  found = min(num_beams, trie.num_rows)
  for b, want in enumerate(slow):
    rows = [docid(trie.rows[row]) for row in beams.rows[b, :found]]
    check_ranking(rows, beams.scores[b, :found], want.ranking)


def test_one_beam_is_greedy(toy):
  codes = random_codes(num=150, num_symbols=5, max_length=6, eos=True, seed=5)
  trie = Trie.build(codes, 8)
  decoder, encoded = toy.decoder(seed=1), toy.queries(seed=7)
  beams = toy.search(
    decoder,
    encoded,
    toy.place(trie),
    num_beams=1,
  )
  for b, query in enumerate(encoded["query"]):
    prefix, score = (), 0.0
    while prefix not in set(map(docid, codes)):
      logits = decoder.prefix_logits(query, [prefix])[0]
      below = {c for c in map(docid, codes) if c[: len(prefix)] == prefix}
      symbol = max({c[len(prefix)] for c in below}, key=lambda s: logits[s])
      score += logits[symbol] - np.log(np.exp(logits).sum())
      prefix = (*prefix, symbol)
    assert docid(trie.rows[beams.rows[b, 0]]) == prefix
    np.testing.assert_allclose(beams.scores[b, 0], score, atol=1e-5)


@flax.struct.dataclass(kw_only=True)
class TableDecoder:
  """Logits by position and last symbol, for examples worked by hand."""

  table: jax.Array  # [T, V, V]

  def start(self, encoded):
    return ()

  def step(self, cache, parents, symbols, t):
    at = t + jnp.arange(symbols.shape[-1])
    return jnp.log(self.table[at, symbols]), cache

  def logits(self, hidden, t):
    return hidden

  def logits_at(self, hidden, t, candidates):
    return jnp.take_along_axis(hidden, candidates, axis=-1)


def worked_example():
  """Three docids: 2 2, 2 3 and 3 2; symbol 3 first is likelier, 2 2 wins.

  P(2) = .4, P(3) = .6; P(2 | 2) = .9, P(3 | 2) = .1; P(2 | 3) = .5, and the
  other half of it goes to a symbol no docid has there.
  """
  trie = DeviceTrie.place(Trie.build(np.array([[3, 2], [2, 2], [2, 3]]), 4))
  first = [[0, 0, 0.4, 0.6]] * 4
  then = [[0] * 4, [0] * 4, [0, 0, 0.9, 0.1], [0, 0, 0.5, 0.5]]
  decoder = TableDecoder(table=jnp.array([first, then]))
  return decoder, jnp.zeros((1, 1)), trie


def test_raw_scores_by_hand(toy):
  beams = toy.search(*worked_example(), num_beams=3)
  assert beams.rows.tolist() == [[0, 2, 1]]
  np.testing.assert_allclose(np.exp(beams.scores), [[0.36, 0.30, 0.04]], 1e-6)


def test_renormalised_scores_by_hand(toy):
  beams = toy.search(*worked_example(), num_beams=3, scoring="renormalised")
  assert beams.rows.tolist() == [[2, 0, 1]]
  np.testing.assert_allclose(np.exp(beams.scores), [[0.60, 0.36, 0.04]], 1e-6)


def test_a_narrow_beam_prunes_by_hand(toy):
  beams = toy.search(*worked_example(), num_beams=1)
  assert beams.rows.tolist() == [[2]]
  np.testing.assert_allclose(np.exp(beams.scores), [[0.30]], 1e-6)


def test_more_beams_than_docids_by_hand(toy):
  beams = toy.search(*worked_example(), num_beams=5)
  assert beams.rows.tolist() == [[0, 2, 1, -1, -1]]
  assert beams.valid.tolist() == [[True, True, True, False, False]]
  assert np.isneginf(beams.scores[0, 3:]).all()


@pytest.mark.parametrize("num_beams", BEAMS)
def test_equal_scores_stand_in_docid_order(toy, num_beams):
  decoder, encoded = toy.decoder(), toy.queries()
  decoder = decoder.replace(head=jnp.zeros_like(decoder.head))
  codes = random_codes(num=150, num_symbols=5, max_length=6, eos=False, seed=2)
  trie = Trie.build(codes, 8)
  beams = toy.search(
    decoder,
    encoded,
    toy.place(trie),
    num_beams=num_beams,
  )
  found = min(num_beams, trie.num_rows)
  assert beams.rows[:, :found].tolist() == [list(range(found))] * 2


def test_ties_between_beams_of_unequal_prefixes_stand_in_docid_order(toy):
  trie = DeviceTrie.place(Trie.build(np.array([[2, 2], [3, 3], [3, 2]]), 4))
  first = [[0, 0, 0.25, 0.75]] * 4
  then = [[0] * 4, [0] * 4, [0, 0, 1, 0], [0, 0, 2 / 3, 1 / 3]]
  decoder = TableDecoder(
    table=jnp.array([first, then])
  )  # 2 2 and 3 3 both have .25
  beams = toy.search(decoder, jnp.zeros((1, 1)), trie, num_beams=3)
  assert beams.rows.tolist() == [[1, 0, 2]]
  beams = toy.search(decoder, jnp.zeros((1, 1)), trie, num_beams=2)
  assert beams.rows.tolist() == [[1, 0]]


def test_an_impossible_docid_is_not_returned(toy):
  decoder, encoded, trie = worked_example()
  decoder = decoder.replace(table=decoder.table.at[0, :, 3].set(0))
  beams = toy.search(decoder, encoded, trie, num_beams=3)
  assert beams.rows.tolist() == [[0, 1, -1]]
  assert beams.valid.tolist() == [[True, True, False]]


@pytest.mark.parametrize("scoring", ["raw", "renormalised"])
def test_atomic_docids_take_one_step(toy, scoring):
  decoder = toy.decoder(vocab_size=302, length=1)
  encoded = toy.queries(3)
  codes = np.random.default_rng(0).permutation(300)[:, None] + 2
  trie = Trie.build(codes, 302)
  beams = toy.search(
    decoder,
    encoded,
    DeviceTrie.place(trie),
    num_beams=7,
    scoring=scoring,
  )
  check_distinct_and_valid(beams, trie, 7)
  for b, query in enumerate(encoded["query"]):
    want = toy.slow_search(
      decoder, query, map(docid, codes), num_beams=7, scoring=scoring
    )
    rows = [docid(trie.rows[row]) for row in beams.rows[b]]
    check_ranking(rows, beams.scores[b], want.ranking)


def test_tries_of_about_a_size_share_a_program(toy):
  decoder, encoded = toy.decoder(), toy.queries()
  before = toy.search.cache_size()
  for seed in range(3):
    codes = random_codes(
      num=100 + seed, num_symbols=6, max_length=6, eos=False, seed=seed
    )
    trie = toy.place(Trie.build(codes, 8))
    toy.search(decoder, encoded, trie, num_beams=7)
  assert toy.search.cache_size() <= before + 1


def test_what_cannot_be_searched_is_refused():
  with pytest.raises(UserError, match="num_beams must be at least 1, got 0"):
    beam_search(*worked_example(), num_beams=0)
  with pytest.raises(UserError, match="'renormalised'"):
    beam_search(*worked_example(), num_beams=1, scoring="renormalized")
