"""T5's input embedding starts as another model's word vectors."""

from functools import partial

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from genret.training.dense_start import DenseStart


def start(
  embedding: Float[Array, "V D"],
  ids: Int[np.ndarray, "M"],
  vectors: Float[np.ndarray, "M E"],
  *,
  stddev: float,
  seed: int = 0,
) -> Float[Array, "V D"]:
  """Writes vectors over the rows of some pieces.

  Their mean is taken off, which word vectors have far from zero and a random
  start has not; then they are brought to D numbers as a dense start is: by an
  orthogonal matrix, and by the principal directions where they have more.

  Args:
    embedding: The text embedding; it is consumed (donated). Rows of other
      pieces keep what they have.
    ids: The rows.
    vectors: One each.
    stddev: Of all the numbers written, as that of a random start.
    seed: Of the matrix.
  """
  centred = vectors - vectors.mean(0)
  rows = centred @ DenseStart(seed=seed).matrix(centred, embedding.shape[1])
  rows = np.asarray(rows * (stddev / rows.std()), np.float32)
  write = jax.jit(
    partial(_write, ids=ids, rows=rows),
    donate_argnums=0,
    out_shardings=embedding.sharding,
  )
  return write(embedding)


def _write(embedding: Array, *, ids: np.ndarray, rows: np.ndarray) -> Array:
  return embedding.at[ids].set(rows)
