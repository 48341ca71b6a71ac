import numpy as np
import pytest

from genret.core.collection import Query
from genret.core.errors import UserError
from genret.embeddings.store import EmbeddingStore
from genret.retrieval import dense as dense_module
from genret.retrieval import searcher
from genret.retrieval.dense import Dense

DIM = 5
RNG = np.random.default_rng(0)
DOCUMENTS = RNG.normal(size=(300, DIM)).astype(np.float16)
QUERIES = RNG.normal(size=(7, DIM)).astype(np.float32)


def store(vectors=DOCUMENTS):
  return EmbeddingStore(
    vectors=vectors, docnos=[f"d{i}" for i in range(len(vectors))]
  )


def by_name(texts):
  return QUERIES[[int(text) for text in texts]]


def asked(count=7):
  return [Query(query_id=f"q{i}", text=str(i)) for i in range(count)]


def cosines(vectors=DOCUMENTS):
  vectors = np.asarray(vectors, np.float64)
  norms = np.linalg.norm(QUERIES, axis=1)[:, None]
  return QUERIES @ vectors.T / np.linalg.norm(vectors, axis=1) / norms


@pytest.mark.parametrize("block", [64, 1 << 16])
@pytest.mark.parametrize("k", [1, 10, 500])
def test_equals_sorting_all_cosines(block, k):
  run = Dense(by_name, block=block).fit(store()).search(asked(), k=k)
  expected = cosines()
  assert list(run) == [f"q{i}" for i in range(len(QUERIES))]
  for i, scores in enumerate(expected):
    rows = np.argsort(-scores)[:k]
    assert [hit.docno for hit in run[f"q{i}"]] == [f"d{row}" for row in rows]
    found = [hit.score for hit in run[f"q{i}"]]
    np.testing.assert_allclose(found, scores[rows], rtol=0, atol=1e-6)


@pytest.mark.parametrize("block", [8, 40])
@pytest.mark.parametrize("seed", [0, 3])
def test_equal_documents_follow_the_seeded_order(block, seed):
  vectors = np.repeat(DOCUMENTS[:4], 10, axis=0)
  dense = Dense(by_name, seed=seed, block=block).fit(store(vectors))
  run = dense.search(asked(1), k=15)
  ties = searcher.tie_order(len(vectors), seed=seed)
  scores = cosines(vectors)[0].round(12)
  rows = searcher.best_rows(scores, 15, ties)
  assert [hit.docno for hit in run["q0"]] == [f"d{row}" for row in rows]


class Watched(np.ndarray):
  """Vectors that know how many were read at once, at most."""

  most = 0

  def __getitem__(self, rows):
    Watched.most = max(Watched.most, np.size(rows))
    return super().__getitem__(rows)


def test_long_vectors_are_read_few_at_a_time(monkeypatch):
  expected = Dense(by_name).fit(store()).search(asked(), k=10)
  monkeypatch.setattr(dense_module, "_NUMBERS", 40 * DIM)
  vectors = store(DOCUMENTS.view(Watched))
  assert Dense(by_name).fit(vectors).search(asked(), k=10) == expected
  assert Watched.most == 40


def test_many_queries_at_a_time():
  queries = [Query(query_id=f"q{i}", text=str(i % 7)) for i in range(300)]
  run = Dense(by_name).fit(store()).search(queries, k=2)
  assert len(run) == 300
  assert all(run[f"q{i}"] == run[f"q{i % 7}"] for i in range(300))
  assert Dense(by_name).fit(store()).search([], k=2) == {}


def test_vectors_of_another_encoder_are_refused():
  other = store(np.ones((3, 4), np.float32))
  with pytest.raises(UserError, match="of 5 numbers and documents have 4"):
    Dense(by_name).fit(other).search(asked(), k=1)
