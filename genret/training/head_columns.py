"""Documents' columns of the head, written a block at a time.

The head may be split over devices, or over processes: every process reads the
same blocks, the kernel stays split as it is and is written in place.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from tqdm import tqdm

BLOCK = 1 << 14
"""Documents written at a time."""


def write(
  kernel: Float[Array, "D V"],
  symbols: Int[np.ndarray, "N"],
  vectors: Callable[[slice], Float[np.ndarray, "n E"]],
  *,
  norm: float,
  first: int = 0,
  matrix: Float[np.ndarray, "E R"] | None = None,
  label: str,
) -> Float[Array, "D V"]:
  """Writes one vector a document over some rows of its column.

  Args:
    kernel: The head; it is consumed (donated). Other rows, and columns of no
      document, keep what they have.
    symbols: Each document's symbol.
    vectors: Reads those of some documents.
    norm: What each is scaled to; a vector of zeros stays one.
    first: The row that the vectors' first number goes to.
    matrix: What they are multiplied by before; None takes them as they are.
    label: Of the progress bar.

  Returns:
    The head.
  """
  block_write = jax.jit(
    partial(_write, norm=norm, first=first, matrix=matrix),
    donate_argnums=0,
    out_shardings=kernel.sharding,
  )
  for start in tqdm(
    range(0, len(symbols), BLOCK),
    desc=label,
    unit="block",
    delay=2.0,
    disable=jax.process_index() != 0,
  ):
    block = slice(start, min(start + BLOCK, len(symbols)))
    columns = np.asarray(symbols[block], np.int32)
    rows = np.asarray(vectors(block), np.float32)
    missing = min(BLOCK, len(symbols)) - len(columns)
    # Columns beyond the head are dropped: every block has one shape.
    columns = np.pad(columns, (0, missing), constant_values=kernel.shape[1])
    rows = np.pad(rows, ((0, missing), (0, 0)))
    kernel = block_write(kernel, columns, rows)
  return kernel


def _write(
  kernel: Array,
  columns: Array,
  rows: Array,
  *,
  norm: float,
  first: int,
  matrix: np.ndarray | None,
) -> Array:
  if matrix is not None:
    rows = rows @ matrix  # [n, R]
  length = jnp.linalg.norm(rows, axis=1, keepdims=True)
  rows = rows * (norm / jnp.maximum(length, 1e-12))
  last = first + rows.shape[1]
  return kernel.at[first:last, columns].set(rows.T, mode="drop")
