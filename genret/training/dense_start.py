"""The head's columns start as the documents' embeddings.

A column of the head is a document's vector: the logit is its product with
what the decoder has made of the query. DynamicRetriever (Zhou et al., arXiv
2203.00537) starts these vectors from a dense retriever's, so that near
documents begin with near logits.
"""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Array, Float, Int

from genret.core.errors import ConfigError, suggest
from genret.training import head_columns

_PROJECTIONS = ("pca", "random", "none")
_SAMPLE = 1 << 15  # documents of which principal directions are computed


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseStart:
  """Starts the head of atomic docids from document embeddings.

  Embeddings of E dimensions become D by an orthogonal matrix drawn at random,
  which changes no product between them where E <= D. Each is then scaled to
  one norm. Where the decoder starts by handing on vectors of the embeddings'
  own encoder, `none` leaves the two comparable.

  Attributes:
    norm: Of every document's column. 1 is what T5's own start has on average.
    projection: What is kept where E > D: `pca`, the D principal directions of
      an even sample of 32,768 documents, not centred; or `random`, D random
      ones. `none` multiplies by no matrix: the embeddings are the first E rows
      of the head, and E <= D.
    seed: Of the matrix.
  """

  norm: float = 1.0
  projection: Literal["pca", "random", "none"] = "pca"
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
  ) -> Float[np.ndarray, "E D"] | None:
    """Returns what turns embeddings into vectors of D numbers, if anything.

    Raises:
      ConfigError: If there is to be no matrix, and they have more than D.
    """
    given = vectors.shape[1]
    if self.projection == "none":
      if given > dim:
        raise ConfigError(
          f"DenseStart.projection is 'none', and the embeddings have {given}"
          f" numbers where the model has {dim}; 'pca' keeps most of them."
        )
      return None
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

  Args:
    kernel: The head; it is consumed (donated). Columns of no document keep
      what they have.
    symbols: Each document's symbol.
    vectors: Each document's embedding; may be memory-mapped.
    how: The settings.

  Returns:
    The head to start from.
  """
  return head_columns.write(
    kernel,
    symbols,
    vectors.__getitem__,
    norm=how.norm,
    matrix=how.matrix(vectors, kernel.shape[0]),
    label="dense start",
  )


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
