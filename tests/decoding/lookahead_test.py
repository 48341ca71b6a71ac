import jax
import numpy as np
import pytest

from genret.core.errors import UserError
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.lookahead import Lookahead
from genret.decoding.trie import Trie


@pytest.fixture(scope="module")
def trie():
  codes = np.random.default_rng(3).integers(2, 8, (150, 6))
  codes[10] = codes[20]  # two documents of one docid
  return Trie.build(codes, 8)


@pytest.fixture(scope="module")
def searched(toy, trie):
  """The exhaustive ranking, and the true score of every document."""
  ranking = toy.exhaustive(
    toy.decoder(), toy.queries(), DeviceTrie.place(trie), chunk=1000
  )
  scores = np.zeros((2, trie.num_documents), np.float32)
  for b in range(2):
    for row, score in zip(ranking.rows[b], ranking.scores[b], strict=True):
      if row >= 0:
        scores[b, trie.documents(row)] = score
  return ranking, scores


def look(toy, trie, prior, *, weight, num_beams):
  placed = toy.place(trie)
  plan = Lookahead.plan(trie, placed, prior, weight=weight)
  return toy.search(
    toy.decoder(), toy.queries(), placed, num_beams=num_beams, lookahead=plan
  )


def test_nodes_have_the_greatest_prior_below_them(toy, trie):
  prior = np.random.default_rng(0).normal(size=(2, 150)).astype(np.float32)
  placed = toy.place(trie)
  plan = jax.device_get(Lookahead.plan(trie, placed, prior))
  for node in range(len(trie.indptr) - 1):
    below, documents = [node], []
    while below:
      last = below.pop()
      for child in trie.child[trie.indptr[last] : trie.indptr[last + 1]]:
        if child >= 0:
          below.append(child)
        else:
          documents += trie.documents(~child).tolist()
    np.testing.assert_array_equal(
      plan.nodes[:, node], prior[:, documents].max(axis=1)
    )


def test_the_true_score_as_prior_finds_the_winner_with_one_beam(
  toy, trie, searched
):
  ranking, true = searched
  beams = look(toy, trie, true, weight=1.0, num_beams=1)
  assert beams.rows[:, 0].tolist() == ranking.rows[:, 0].tolist()
  np.testing.assert_allclose(beams.scores[:, 0], ranking.scores[:, 0], 1e-5)
  alone = toy.search(toy.decoder(), toy.queries(), toy.place(trie), num_beams=1)
  assert (alone.rows[:, 0] != ranking.rows[:, 0]).any()  # else it shows nothing


def test_a_prior_without_weight_changes_nothing(toy, trie):
  prior = np.random.default_rng(0).normal(size=(2, 150)).astype(np.float32)
  beams = look(toy, trie, prior, weight=0.0, num_beams=7)
  plain = toy.search(toy.decoder(), toy.queries(), toy.place(trie), num_beams=7)
  assert beams.rows.tolist() == plain.rows.tolist()
  np.testing.assert_allclose(beams.scores, plain.scores, atol=1e-6)


def test_all_documents_are_ranked_by_both(toy, trie, searched):
  _, true = searched
  prior = np.random.default_rng(0).normal(size=(2, 150)).astype(np.float32)
  beams = look(toy, trie, 10 * prior, weight=0.5, num_beams=256)
  assert beams.valid.sum(axis=1).tolist() == [trie.num_rows] * 2
  for b in range(2):
    for place in range(trie.num_rows):
      documents = trie.documents(beams.rows[b, place])
      want = (true[b, documents[0]] + 10 * prior[b, documents].max()) / 2
      assert beams.scores[b, place] == pytest.approx(want, abs=1e-4)
    assert (np.diff(beams.scores[b, : trie.num_rows]) <= 0).all()


def test_priors_of_other_documents_are_refused(toy, trie):
  placed = toy.place(trie)
  with pytest.raises(UserError, match=r"\[queries, 150\]; got \(2, 149\)"):
    Lookahead.plan(trie, placed, np.zeros((2, 149)))
  with pytest.raises(UserError, match="weight is 1.5"):
    Lookahead.plan(trie, placed, np.zeros((2, 150)), weight=1.5)
