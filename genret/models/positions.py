"""T5's relative positions and masks: what is added to attention scores."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float32, Int

from genret.models.sizes import T5Config

Parameters = Mapping[str, Any]

MASKED = -1e10  # Added to a score; finite, so that a row of them is no NaN.


def relative_buckets(
  length: int, *, bidirectional: bool, num_buckets: int, max_distance: int
) -> Int[np.ndarray, "Q K"]:
  """Returns T5's bucket of every pair of positions (query, key) of a row.

  Half of the buckets hold one small distance each, the other half grow
  logarithmically up to max_distance. Both directions have buckets of their
  own, or, when not bidirectional, keys after the query share bucket 0.

  >>> relative_buckets(
  ...   4, bidirectional=False, num_buckets=32, max_distance=128
  ... )[3].tolist()
  [3, 2, 1, 0]
  """
  positions = np.arange(length)
  behind = positions[:, None] - positions[None, :]  # query - key
  offset = np.zeros_like(behind)
  if bidirectional:
    num_buckets //= 2
    offset = np.where(behind < 0, num_buckets, 0)
    behind = np.abs(behind)
  behind = np.maximum(behind, 0)
  exact = num_buckets // 2
  # Float32 throughout: in float64 distances at a bucket's edge, where the
  # logarithm is whole, may fall on the other side than in T5.
  ratio = np.maximum(behind, 1).astype(np.float32) / np.float32(exact)
  growth = np.log(ratio + np.finfo(np.float32).eps) / np.float32(
    np.log(max_distance / exact)
  )
  far = exact + (growth * np.float32(num_buckets - exact)).astype(np.int32)
  return (
    offset + np.where(behind < exact, behind, np.minimum(far, num_buckets - 1))
  ).astype(np.int32)


def position_bias(
  params: Parameters, config: T5Config, length: int, *, bidirectional: bool
) -> Float32[Array, "H Q K"]:
  """Returns the stack's relative position bias, shared by its layers.

  Positions are those in the row. In a packed row that is right as well, since
  within a segment distances are the same and across segments nobody attends.
  """
  buckets = relative_buckets(
    length,
    bidirectional=bidirectional,
    num_buckets=config.relpos_buckets,
    max_distance=config.relpos_max_distance,
  )
  # A product with a one-hot: the gradient of a gather would be a scatter of
  # Q x K values into 32 places.
  one_hot = buckets == np.arange(config.relpos_buckets)[:, None, None]
  return jnp.einsum(
    "hr,rqk->hqk",
    params["relpos_bias"]["rel_embedding"],
    jnp.asarray(one_hot, jnp.float32),
    precision=jax.lax.Precision.HIGHEST,
  )


def mask_bias(allowed: Bool[Array, "*B"]) -> Float32[Array, "*B"]:
  """Turns a mask into what is added to attention scores."""
  return jnp.where(allowed, 0.0, MASKED).astype(jnp.float32)


def causal_bias(
  params: Parameters, config: T5Config, length: int
) -> Float32[Array, "H T T"]:
  """Returns the decoder's position bias with all later keys masked."""
  bias = position_bias(params["decoder"], config, length, bidirectional=False)
  return bias + mask_bias(np.tri(length, dtype=bool))
