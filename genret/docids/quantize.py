"""Docids of quantised embeddings: the numbers of the nearest centroids."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

from genret.core.docid_table import FIRST_SYMBOL, DocidTable, symbol_dtype
from genret.core.errors import ConfigError
from genret.docids.corpus import Corpus, check_vectors

if TYPE_CHECKING:
  from jaxtyping import Float, Int

_BLOCK = 1 << 16  # rows whose residuals are in memory
_SAMPLE = 1 << 16


def fit_residual(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  levels: int = 3,
  k: int = 256,
  sample: int = _SAMPLE,
  iterations: int = 25,
) -> DocidTable:
  """Quantises each vector, then what is left of it, and so on.

  Residual quantisation (Chen et al., 2010), as RIPOR makes its docids
  (arXiv 2311.09134): the first symbol is the nearest of k centroids, the
  next the nearest of k others to the difference, and so on. Neighbours share
  their first symbols.

  Args:
    collection: whose documents are named.
    embeddings: [N, D], row i is document i.
    seed: of the sample and of k-means.
    levels: codebooks, and symbols a docid.
    k: centroids a codebook.
    sample: documents that the centroids come from.
    iterations: the most of k-means.

  Returns:
    Docids of `levels` symbols, each position with symbols of its own, no
    EOS, V = 2 + levels x k. Near documents may share one.

  Raises:
    ConfigError: no embeddings, or a size that cannot be.
    UserError: not one row of embeddings a document.
  """
  vectors = check_vectors(collection, embeddings, scheme="Residual")
  shape = Codebooks(
    levels=levels, k=k, sample=sample, iterations=iterations, seed=seed
  )
  codes = residual(vectors, shape).codes
  return table(collection, codes, k=k, scheme="residual")


def fit_product(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  levels: int = 3,
  k: int = 256,
  sample: int = _SAMPLE,
  iterations: int = 25,
) -> DocidTable:
  """Cuts each vector into parts and quantises each part by itself.

  Product quantisation (Jégou et al., 2011), as Ultron makes its docids
  (arXiv 2208.09257): symbol m is the nearest of k centroids to the m-th part.
  Where D is no multiple of `levels`, the first parts are one longer.

  Args:
    collection: whose documents are named.
    embeddings: [N, D], row i is document i.
    seed: of the sample and of k-means.
    levels: parts, and symbols a docid.
    k: centroids a part.
    sample: documents that the centroids come from.
    iterations: the most of k-means.

  Returns:
    Docids of `levels` symbols, each position with symbols of its own, no
    EOS, V = 2 + levels x k. Near documents may share one.

  Raises:
    ConfigError: no embeddings, more parts than numbers a vector, or a size
      that cannot be.
    UserError: not one row of embeddings a document.
  """
  vectors = check_vectors(collection, embeddings, scheme="Product")
  shape = Codebooks(
    levels=levels, k=k, sample=sample, iterations=iterations, seed=seed
  )
  codes = product(vectors, shape).codes
  return table(collection, codes, k=k, scheme="product")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Codebooks:
  """How many centroids there are, and where they come from.

  Attributes:
    levels: codebooks.
    k: centroids a codebook.
    sample: rows that they come from.
    iterations: the most of k-means.
    seed: of the sample and of k-means.
  """

  levels: int
  k: int
  sample: int = _SAMPLE
  iterations: int = 25
  seed: int = 0

  def __post_init__(self):
    if self.levels < 1 or self.k < 2 or self.sample < self.k:
      raise ConfigError(
        "levels is at least 1, k at least 2 and sample at least k;"
        f" levels={self.levels}, k={self.k} and sample={self.sample} came."
      )


class Quantised(NamedTuple):
  """Vectors as numbers of centroids.

  Attributes:
    books: the centroids of each level, float32 [k, D or a part of it].
    codes: [N, M], each below k.
  """

  books: "list[Float[np.ndarray, 'k D']]"
  codes: "Int[np.ndarray, 'N M']"


def residual(vectors: np.ndarray, shape: Codebooks) -> Quantised:
  """Quantises each vector, then what is left of it, and so on.

  Nothing is kept of a level but its centroids: what is left is computed a
  block at a time, so memory is that of the sample or of a block.

  Args:
    vectors: [N, D], may be memory-mapped.
    shape: the codebooks.
  """
  rows = _sampled(len(vectors), shape)
  books: list[np.ndarray] = []
  codes = np.zeros((len(vectors), shape.levels), np.int32)
  for level in range(shape.levels):
    left = residuals(vectors, rows, codes=codes[:, :level], books=books)
    books.append(_centroids(left, shape, level))
    for block in _blocks(len(vectors), f"residual {level + 1}"):
      left = residuals(vectors, block, codes=codes[:, :level], books=books)
      codes[block, level] = _nearest(left, books[level])
  return Quantised(books, codes)


def product(vectors: np.ndarray, shape: Codebooks) -> Quantised:
  """Quantises each part of the vectors by itself.

  Args:
    vectors: [N, D], may be memory-mapped.
    shape: the codebooks.

  Raises:
    ConfigError: there are more parts than numbers a vector.
  """
  if shape.levels > vectors.shape[1]:
    raise ConfigError(
      f"Vectors of {vectors.shape[1]} numbers have no {shape.levels} parts;"
      " set levels to fewer."
    )
  rows = _sampled(len(vectors), shape)
  books: list[np.ndarray] = []
  codes = np.zeros((len(vectors), shape.levels), np.int32)
  for level, part in enumerate(parts(vectors.shape[1], shape.levels)):
    books.append(_centroids(vectors[rows][:, part], shape, level))
    for block in _blocks(len(vectors), f"product {level + 1}"):
      codes[block, level] = _nearest(vectors[block][:, part], books[level])
  return Quantised(books, codes)


def residuals(
  vectors: np.ndarray,
  rows: "Int[np.ndarray, ' n']",
  *,
  codes: "Int[np.ndarray, 'N M']",
  books: "Sequence[Float[np.ndarray, 'k D']]",
) -> "Float[np.ndarray, 'n D']":
  """Takes from some vectors the centroids that their codes name.

  >>> vectors = np.array([[3.0, 1.0], [5.0, 5.0]], np.float32)
  >>> book = np.array([[5.0, 4.0], [2.0, 2.0]], np.float32)
  >>> codes = np.array([[1], [0]])
  >>> residuals(vectors, np.arange(2), codes=codes, books=[book]).tolist()
  [[1.0, -1.0], [0.0, 1.0]]
  """
  left = np.array(vectors[rows], np.float32)
  for level in range(codes.shape[1]):
    left -= books[level][codes[rows, level]]
  return left


def parts(dim: int, count: int) -> list[slice]:
  """Cuts D numbers into parts whose sizes differ by one at most.

  >>> parts(7, 3)
  [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
  """
  sizes = [dim // count + (i < dim % count) for i in range(count)]
  ends = np.cumsum(sizes).tolist()
  return [slice(e - s, e) for e, s in zip(ends, sizes, strict=True)]


def table(
  collection: Corpus, codes: np.ndarray, *, k: int, scheme: str
) -> DocidTable:
  """Turns numbers of centroids into docids with symbols by position.

  Args:
    collection: whose documents are named.
    codes: [N, M], each below k.
    k: centroids a level.
    scheme: how they were made.
  """
  levels = codes.shape[1]
  starts = FIRST_SYMBOL + k * np.arange(levels)
  vocab_size = FIRST_SYMBOL + k * levels
  return DocidTable(
    codes=(codes + starts).astype(symbol_dtype(vocab_size)),
    docnos=collection.docnos,
    vocab_size=vocab_size,
    scheme=scheme,
    level_starts=tuple(starts.tolist()),
  )


def _sampled(count: int, shape: Codebooks) -> np.ndarray:
  if count <= shape.sample:
    return np.arange(count)
  random = np.random.default_rng(shape.seed)
  return np.sort(random.choice(count, shape.sample, replace=False))


def _centroids(points: np.ndarray, shape: Codebooks, level: int) -> np.ndarray:
  from genret.docids import kmeans

  [found] = kmeans.fit(
    np.ascontiguousarray(points),
    [np.arange(len(points))],
    k=shape.k,
    seeds=[shape.seed + level],
    iterations=shape.iterations,
  )
  return found.centroids


def _nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
  from genret.docids import kmeans

  points = np.ascontiguousarray(points)
  return kmeans.assign(points, np.arange(len(points)), centroids)


def _blocks(count: int, what: str) -> Iterator[np.ndarray]:
  """Yields row numbers, some at a time, under a bar."""
  starts = range(0, count, _BLOCK)
  for start in tqdm(starts, desc=what, unit="block", delay=2):
    yield np.arange(start, min(start + _BLOCK, count))
