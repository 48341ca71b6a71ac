"""Late interaction against the scores of all documents, one by one."""

import tracemalloc

import numpy as np
import pytest

from genret.models import dual_encoder
from genret.retrieval import late_interaction, searcher
from genret.retrieval.late_interaction import MaxSim, TokenVectors

RNG = np.random.default_rng(0)


def unit(count):
  vectors = RNG.normal(size=(count, 4))
  return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def store():
  lengths = RNG.integers(1, 20, size=300)
  vectors = unit(lengths.sum()).astype(np.float16)
  return TokenVectors(vectors=vectors, offsets=np.append(0, lengths.cumsum()))


@pytest.fixture(scope="module")
def queries():
  out = np.zeros((5, 6, 4), np.float32)
  for row, length in zip(out, (1, 6, 3, 2, 5), strict=True):
    row[:length] = unit(length)
  return out


@pytest.fixture(scope="module")
def scores(store, queries):
  every = store.padded(np.arange(store.num_documents))
  return np.asarray(dual_encoder.max_sim(queries, every))


@pytest.mark.parametrize("k", [7, 1000])
@pytest.mark.parametrize("together", [1, 1 << 24])
def test_best_equals_sorting_all_scores(
  store, queries, scores, k, together, monkeypatch
):
  monkeypatch.setattr(late_interaction, "_SCORES", together)
  found, rows = MaxSim(store).best(queries, k=k)
  expected = np.argsort(-scores, axis=1)[:, :k]
  np.testing.assert_array_equal(rows, expected)
  np.testing.assert_allclose(
    found, np.take_along_axis(scores, expected, axis=1), atol=1e-6
  )


def test_candidates_are_ranked_among_themselves(store, queries, scores):
  offered = np.stack([RNG.permutation(300)[:20] for _ in queries])
  found, rows = MaxSim(store).rerank(queries, offered, k=5)
  for i, few in enumerate(offered):
    expected = few[np.argsort(-scores[i, few])][:5]
    np.testing.assert_array_equal(rows[i], expected)
    np.testing.assert_allclose(found[i], scores[i, expected], atol=1e-6)


def test_equal_documents_follow_the_seeded_order(queries, monkeypatch):
  monkeypatch.setattr(late_interaction, "_SCORES", 1)
  count = 300  # more than are scored at a time
  same = TokenVectors(
    vectors=np.tile(unit(2), (count, 1)), offsets=np.arange(0, 602, 2)
  )
  _, rows = MaxSim(same, seed=3).best(queries, k=10)
  expected = np.argsort(searcher.tie_order(count, seed=3))[:10]
  assert all(row.tolist() == expected.tolist() for row in rows)


def test_scores_of_all_documents_are_never_together(store, monkeypatch):
  count = 4000
  many = TokenVectors(
    vectors=np.tile(store.vectors[:2], (count, 1)),
    offsets=np.arange(0, 2 * count + 2, 2),
  )
  queries = np.broadcast_to(unit(1), (320, 1, 4)).astype(np.float32)
  monkeypatch.setattr(late_interaction, "_SCORES", 1 << 16)
  searched = MaxSim(many)
  searched.best(queries, k=2)  # compiles
  tracemalloc.start()
  searched.best(queries, k=2)
  _, most = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert most < 4 * len(queries) * count / 2
