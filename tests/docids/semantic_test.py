import numpy as np
import pytest

from genret.core.errors import ConfigError, UserError
from genret.docids import quality, semantic
from genret.docids.corpus import Listed


def corpus(count=90, topics=9, seed=0):
  """Makes documents and vectors of a few clear topics, in topical order."""
  random = np.random.default_rng(seed)
  topic = np.sort(random.integers(0, topics, count))
  angles = 2 * np.pi * np.arange(topics) / topics
  centres = 20 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
  vectors = centres[topic] + random.normal(size=(count, 2))
  documents = Listed.named(f"d{i}" for i in range(count))
  return documents, vectors.astype(np.float32), topic


def test_docids_are_paths_and_places():
  vectors = np.array([[0, 0], [0, 1], [9, 0], [9, 1]], np.float32)
  table = semantic.fit(
    Listed.named("abcd"), embeddings=vectors, k=2, leaf_size=2
  )
  codes = table.codes.tolist()
  assert codes[0][0] == codes[1][0] != codes[2][0] == codes[3][0]
  assert sorted(codes) == [[2, 2], [2, 3], [3, 2], [3, 3]]
  assert table.vocab_size == 4
  assert table.scheme == "semantic"


def test_lengths_differ_without_eos_and_without_prefixes():
  places = np.array([0.0, 50.0, 50.5, 51.0, 60.0], np.float32)
  vectors = np.stack([places, places], axis=1)
  table = semantic.fit(
    Listed.named("abcde"), embeddings=vectors, k=2, leaf_size=1
  )
  assert len(set(table.lengths().tolist())) > 1
  assert not table.has_eos
  assert not table.collisions()
  table.check()  # refuses a docid that begins another


def test_documents_of_a_topic_share_their_first_symbols():
  documents, vectors, topic = corpus()
  table = semantic.fit(documents, embeddings=vectors, k=3, leaf_size=15)
  similar = quality.similarity_by_prefix(table, vectors, pairs=2000)
  assert similar[0] < similar[1] < similar[2]
  for rows in (np.flatnonzero(topic == t) for t in np.unique(topic)):
    assert len(np.unique(table.codes[rows, 0])) == 1


def test_one_seed_gives_one_table():
  documents, vectors, _ = corpus()
  fit = semantic.fit
  first = fit(documents, embeddings=vectors, k=3, leaf_size=5, seed=1)
  again = fit(documents, embeddings=vectors, k=3, leaf_size=5, seed=1)
  other = fit(documents, embeddings=vectors, k=3, leaf_size=5, seed=2)
  np.testing.assert_array_equal(first.codes, again.codes)
  assert (
    first.codes.shape != other.codes.shape or (first.codes != other.codes).any()
  )


def test_places_in_a_leaf_do_not_follow_the_corpus():
  documents, vectors, _ = corpus()
  table = semantic.fit(documents, embeddings=vectors, k=3, leaf_size=100)
  places = table.codes[:, 0].tolist()
  assert sorted(places) == list(range(2, 92))
  assert places != sorted(places)


@pytest.mark.parametrize(
  "count, k, leaf_size, size", [(9, 30, 10, 32), (90, 3, 40, 42), (90, 3, 2, 5)]
)
def test_the_vocabulary_holds_digits_and_places(count, k, leaf_size, size):
  documents, vectors, _ = corpus(count)
  table = semantic.fit(documents, embeddings=vectors, k=k, leaf_size=leaf_size)
  assert table.vocab_size == size
  assert table.codes.max() < size


def test_what_is_missing_is_said():
  with pytest.raises(ConfigError, match="genret embed"):
    semantic.fit(Listed.named("a"))
  with pytest.raises(UserError, match="2 rows .* 1 documents"):
    semantic.fit(Listed.named("a"), embeddings=np.eye(2, dtype=np.float32))
  with pytest.raises(ConfigError, match="leaf_size"):
    semantic.fit(Listed.named("a"), embeddings=np.eye(1), leaf_size=0)
