"""Docids to measure with: seeded, as real ones are, without a collection.

Every function returns codes [N, T]: symbols from 2 up, 1 for EOS, 0 after the
end. Rows may repeat, as docids of real documents do.
"""

import functools

import numpy as np
from jaxtyping import Float, Int

from genret.core.docid_table import EOS, FIRST_SYMBOL, PAD
from genret.docids import kmeans, semantic
from genret.docids.corpus import Listed

TEXT_VOCABULARY = 32_128
LEVELS, CODES = 8, 255  # of residual docids
RESIDUAL_VOCABULARY = FIRST_SYMBOL + LEVELS * CODES
_SAMPLE = 30_000  # vectors that the centroids of a level come from
_ITERATIONS = 8


def uniform(
  num_documents: int, vocab_size: int, *, length: int = 8, seed: int = 0
) -> Int[np.ndarray, "N T"]:
  """Draws every symbol alike: wide at the first levels, then all alone."""
  random = np.random.default_rng(seed)
  return random.integers(
    FIRST_SYMBOL,
    vocab_size,
    (num_documents, length),
    dtype=_dtype(vocab_size),
  )


def zipf(
  num_documents: int,
  *,
  vocab_size: int = TEXT_VOCABULARY,
  length: int = 16,
  seed: int = 0,
) -> Int[np.ndarray, "N T"]:
  """Draws docids like words: few symbols are frequent, and lengths differ.

  A symbol's chance falls as one over its rank. Docids have 4 to `length` - 1
  symbols, then EOS.
  """
  random = np.random.default_rng(seed)
  chances = 1 / np.arange(1, vocab_size - FIRST_SYMBOL + 1)
  cumulative = np.cumsum(chances / chances.sum()).astype(np.float32)
  cumulative[-1] = 1.0
  codes = np.zeros((num_documents, length), _dtype(vocab_size))
  for column in codes.T:
    drawn = random.random(num_documents, np.float32)
    column[:] = FIRST_SYMBOL + np.searchsorted(cumulative, drawn, side="right")
  ends = random.integers(4, length, num_documents)[:, None]
  place = np.arange(length)
  return np.where(
    place < ends, codes, np.where(place == ends, EOS, PAD)
  ).astype(codes.dtype)


@functools.lru_cache(maxsize=2)
def clustered(num_documents: int, *, seed: int = 0) -> Float[np.ndarray, "N D"]:
  """Draws vectors as texts are: topics of unequal size, topics within them.

  The spreads are chosen such that 300,000 vectors, residually quantised,
  leave about half of the documents alone in their subtree after level 4 and
  five sixths after level 5, as measured with embeddings of passages.
  """
  width, topics, subtopics = 32, 256, 64
  random = np.random.default_rng(seed)
  topic = random.choice(topics, num_documents, p=_by_rank(topics))
  subtopic = random.choice(subtopics, num_documents, p=_by_rank(subtopics))
  normal = functools.partial(random.standard_normal, dtype=np.float32)
  centres = normal((topics, width))
  offsets = 0.5 * normal((topics, subtopics, width))
  noise = 0.2 * normal((num_documents, width))
  return centres[topic] + offsets[topic, subtopic] + noise


@functools.lru_cache(maxsize=2)
def residual(num_documents: int, *, seed: int = 0) -> Int[np.ndarray, "N T"]:
  """Quantises clustered vectors: each level codes what the last left over.

  Level l, from 0, has the symbols 2 + 255 l up to 2 + 255 (l + 1), its own
  alone, so that V = 2,042.
  """
  left = clustered(num_documents, seed=seed).copy()
  random = np.random.default_rng(seed)
  size = min(_SAMPLE, num_documents)
  sample = np.sort(random.choice(num_documents, size, replace=False))
  codes = np.empty((num_documents, LEVELS), _dtype(RESIDUAL_VOCABULARY))
  for level in range(LEVELS):
    (found,) = kmeans.fit(
      left, [sample], k=CODES, seeds=[seed + level], iterations=_ITERATIONS
    )
    nearest = kmeans.assign(left, np.arange(num_documents), found.centroids)
    left -= found.centroids[nearest]
    codes[:, level] = FIRST_SYMBOL + CODES * level + nearest
  return codes


@functools.lru_cache(maxsize=2)
def hierarchical(
  num_documents: int, *, seed: int = 0
) -> Int[np.ndarray, "N T"]:
  """Clusters the vectors of `residual` as DSI does: ten ways, leaves of 100.

  V = 102. Docids differ in length and end without EOS; none begins another.
  """
  documents = Listed.named(map(str, range(num_documents)))
  vectors = clustered(num_documents, seed=seed)
  return semantic.fit(documents, embeddings=vectors, seed=seed).codes


def alone(codes: Int[np.ndarray, "N T"]) -> Float[np.ndarray, "T"]:
  """Returns the share of documents whose prefix is theirs alone, by length.

  >>> alone(np.array([[2, 2], [2, 3], [3, 2], [3, 2], [4, 2]])).tolist()
  [0.2, 0.6]
  """
  rows = codes[np.lexsort(codes.T[::-1])]
  begins = np.ones((len(rows) + 1, codes.shape[1]), bool)
  begins[1:-1] = np.logical_or.accumulate(rows[1:] != rows[:-1], axis=1)
  return (begins[1:] & begins[:-1]).mean(axis=0)


def _by_rank(size: int) -> np.ndarray:
  chances = 1 / np.arange(1, size + 1)
  return chances / chances.sum()


def _dtype(vocab_size: int) -> type[np.generic]:
  return np.uint16 if vocab_size <= 1 << 16 else np.int32
