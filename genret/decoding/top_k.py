"""The exact best of very many scores, found through the best of each block."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

# From so many scores a query on, looking at whole blocks first pays.
_MANY = 1 << 15

BLOCK = 128  # scores of a block; heads are padded to a multiple of it


def top_k(
  scores: Float[Array, "B S W"], k: int
) -> tuple[Float[Array, "B k"], Int[Array, "B k"]]:
  """Returns the k best scores of each query and where they are.

  The same as `jax.lax.top_k` over the flattened last axes, ties included: of
  equal scores the earlier. With many scores only the k blocks (of W each)
  with the greatest maxima are sorted: no other can hold one of the k best,
  and of blocks with equal maxima the earlier hold the earlier scores.

  >>> top_k(jnp.array([[[1.0, 4.0], [4.0, 3.0]]]), 2)[1].tolist()
  [[1, 2]]

  Args:
    scores: of each query, in blocks.
    k: how many; at most S * W.

  Returns:
    The scores, best first, and their indices in the flattened axes.
  """
  batch, blocks, width = scores.shape
  if blocks * width < _MANY or blocks <= 4 * k:
    return jax.lax.top_k(scores.reshape(batch, -1), k)
  _, chosen = jax.lax.top_k(scores.max(axis=-1), k)
  chosen = jnp.sort(chosen, axis=-1)
  few = jnp.take_along_axis(scores, chosen[..., None], axis=1)  # [B, k, W]
  best, at = jax.lax.top_k(few.reshape(batch, -1), k)
  block = jnp.take_along_axis(chosen, at // width, axis=-1)
  return best, block * width + at % width


def blocks(
  scores: Float[Array, "*B V"], least: int = 1
) -> Float[Array, "*B G W"]:
  """Splits the last axis into blocks of 128; places beyond it are at -inf.

  >>> blocks(jnp.zeros((1, 300))).shape
  (1, 3, 128)

  Args:
    scores: of all symbols.
    least: at least so many places.
  """
  num_scores = scores.shape[-1]
  places = -(-max(num_scores, least) // BLOCK) * BLOCK
  missing = [(0, 0)] * (scores.ndim - 1) + [(0, places - num_scores)]
  scores = jnp.pad(scores, missing, constant_values=-jnp.inf)
  return scores.reshape(*scores.shape[:-1], -1, BLOCK)
