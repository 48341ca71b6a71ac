import jax.numpy as jnp
import numpy as np
import pytest

from genret.decoding.device_trie import DeviceTrie
from genret.decoding.trie import Trie


def random_trie(num):
  codes = np.random.default_rng(3).integers(2, 8, (num, 3))
  return Trie.build(np.pad(codes, [(0, 0), (0, 3)]), 8)


@pytest.mark.parametrize("chunk", [16, 1000])
def test_scores_are_the_sums_over_each_docid(toy, chunk):
  trie = random_trie(50)
  decoder, encoded = toy.decoder(), toy.queries()
  beams = toy.exhaustive(decoder, encoded, DeviceTrie.place(trie), chunk=chunk)
  for b, query in enumerate(encoded["query"]):
    want = {}
    for u, row in enumerate(trie.rows.tolist()):
      want[u] = 0.0
      for t in range(3):
        logits = decoder.prefix_logits(query, [tuple(row[:t])])[0]
        want[u] += logits[row[t]] - np.log(np.exp(logits).sum())
    rows = beams.rows[b, : trie.num_rows].tolist()
    assert sorted(rows) == list(range(trie.num_rows))
    scores = beams.scores[b, : trie.num_rows]
    np.testing.assert_allclose(scores, [want[u] for u in rows], atol=1e-5)
    assert (np.diff(scores) <= 0).all()


def test_places_added_by_rounding_come_last_and_are_not_valid(toy):
  trie = random_trie(50)
  placed = toy.place(trie)
  beams = toy.exhaustive(toy.decoder(), toy.queries(), placed)
  assert beams.rows.shape == (2, 2048)
  assert beams.valid.sum(axis=1).tolist() == [trie.num_rows] * 2
  assert beams.valid[:, : trie.num_rows].all()
  assert (beams.rows[:, trie.num_rows :] == -1).all()


def test_equal_scores_stand_in_docid_order(toy):
  decoder = toy.decoder()
  decoder = decoder.replace(head=jnp.zeros_like(decoder.head))
  trie = random_trie(50)
  beams = toy.exhaustive(
    decoder, toy.queries(), DeviceTrie.place(trie), chunk=1000
  )
  found = beams.rows[:, : trie.num_rows].tolist()
  assert found == [list(range(trie.num_rows))] * 2
