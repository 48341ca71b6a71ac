"""The head's columns start as the documents' embeddings.

A column of the head is a document's vector: the logit is its product with
what the decoder has made of the query. DynamicRetriever (Zhou et al., arXiv
2203.00537) starts these vectors from a dense retriever's, so that near
documents begin with near logits.
"""

import dataclasses
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from genret.core.errors import ConfigError, suggest

_PROJECTIONS = ("pca", "random")
_BLOCK = 1 << 14  # documents written at a time
_SAMPLE = 1 << 15  # documents of which principal directions are computed


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseStart:
  """Starts the head of atomic docids from document embeddings.

  Embeddings of E dimensions become D by an orthogonal matrix drawn at random,
  which changes no product between them where E <= D. Each is then scaled to
  one norm.

  Attributes:
    norm: Of every document's column. 1 is what T5's own start has on average.
    projection: What is kept where E > D: `pca`, the D principal directions of
      an even sample of 32,768 documents, not centred; or `random`, D random
      ones.
    seed: Of the matrix.
  """

  norm: float = 1.0
  projection: Literal["pca", "random"] = "pca"
  seed: int = 0

  def __post_init__(self):
    if self.norm <= 0:
      raise ConfigError(
        f"DenseStart.norm is {self.norm}; a column's norm is above 0."
      )
    if self.projection not in _PROJECTIONS:
      raise ConfigError(
        f"DenseStart.projection is {self.projection!r}."
        f"{suggest(self.projection, _PROJECTIONS)}"
      )

  def matrix(
    self, vectors: Float[np.ndarray, "N E"], dim: int
  ) -> Float[np.ndarray, "E D"]:
    """Returns the matrix that turns embeddings into vectors of D numbers."""
    given = vectors.shape[1]
    if given <= dim or self.projection == "random":
      return _orthogonal(given, dim, self.seed)
    return _principal(vectors, dim) @ _orthogonal(dim, dim, self.seed)


def start(
  kernel: Float[Array, "D V"],
  symbols: Int[np.ndarray, "N"],
  vectors: Float[np.ndarray, "N E"],
  *,
  how: DenseStart,
) -> Float[Array, "D V"]:
  """Writes documents' vectors over their columns of the head.

  Embeddings are read a block at a time, every process the same ones; the
  kernel stays split as it is and is written in place.

  Args:
    kernel: The head; it is consumed (donated). Columns of no document keep
      what they have.
    symbols: Each document's symbol.
    vectors: Each document's embedding; may be memory-mapped.
    how: The settings.

  Returns:
    The head to start from.
  """
  matrix = how.matrix(vectors, kernel.shape[0])
  write = jax.jit(
    partial(_write, norm=how.norm),
    donate_argnums=0,
    out_shardings=kernel.sharding,
  )
  starts = range(0, len(symbols), _BLOCK)
  for first in tqdm(
    starts,
    desc="dense start",
    unit="block",
    delay=2.0,
    disable=jax.process_index() != 0,
  ):
    block = slice(first, first + _BLOCK)
    columns = np.asarray(symbols[block], np.int32)
    rows = np.asarray(vectors[block], np.float32)
    missing = min(_BLOCK, len(symbols)) - len(columns)
    # Columns beyond the head are dropped: every block has one shape.
    columns = np.pad(columns, (0, missing), constant_values=kernel.shape[1])
    rows = np.pad(rows, ((0, missing), (0, 0)))
    kernel = write(kernel, columns, rows, matrix=matrix)
  return kernel


def _write(
  kernel: Array, columns: Array, rows: Array, *, matrix: Array, norm: float
) -> Array:
  projected = rows @ matrix  # [N, D]
  length = jnp.linalg.norm(projected, axis=1, keepdims=True)
  scaled = projected * (norm / jnp.maximum(length, 1e-12))
  return kernel.at[:, columns].set(scaled.T, mode="drop")


def _orthogonal(rows: int, columns: int, seed: int) -> np.ndarray:
  """Draws a matrix whose rows are orthonormal, or its columns if fewer."""
  large, small = max(rows, columns), min(rows, columns)
  drawn = np.random.default_rng(seed).normal(size=(large, small))
  basis, upper = np.linalg.qr(drawn)
  basis *= np.sign(np.diag(upper))  # Evenly over all such matrices.
  return np.asarray(basis.T if rows < columns else basis, np.float32)


def _principal(vectors: np.ndarray, dim: int) -> np.ndarray:
  """Returns the directions that keep most of the vectors' length, [E, D]."""
  step = -(-len(vectors) // _SAMPLE)
  sample = np.asarray(vectors[::step], np.float32)
  _, directions = np.linalg.eigh(sample.T @ sample)
  return directions[:, : -dim - 1 : -1]
