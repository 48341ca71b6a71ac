"""How a stack of layers is run: one by one or scanned, kept or made again.

None of it changes what is computed, but for rounding under bfloat16: it
trades memory, compilation and time. Parameters are declared, initialised and
saved layer by layer whatever is chosen.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from genret.models.activations import constrain
from genret.models.sizes import T5Config

Layer = Callable[[Mapping[str, Any], Array, int | Array], Array]


def layers_of(params: Mapping[str, Any]) -> list[Mapping[str, Any]]:
  """Returns the layers of an encoder or decoder in order."""
  count = sum(name.startswith("layers_") for name in params)
  return [params[f"layers_{i}"] for i in range(count)]


def run(
  stack: Sequence[Mapping[str, Any]],
  x: Array,
  layer: Layer,
  *,
  config: T5Config,
) -> Array:
  """Applies layers one after another to the residual stream.

  Args:
    stack: parameters of each layer.
    x: [B, ..., D], what the first layer reads.
    layer: from a layer's parameters, what it reads, and its number, which is
      traced where layers are scanned or rematerialised.
    config: its `remat` and `scan_layers`.

  Returns:
    What the last layer writes, in the shape of x.
  """
  scanned = config.scan_layers and len(stack) > 1

  def placed(params: Mapping[str, Any], x: Array, index: int | Array) -> Array:
    return constrain(layer(params, x, index), "batch", "embed")

  step = _rematerialised(placed, config.remat, scanned=scanned)
  if scanned:
    return _scan(stack, x, step)
  for index, params in enumerate(stack):
    x = step(params, x, index)
  return x


def _rematerialised(layer: Layer, remat: str, *, scanned: bool) -> Layer:
  """Returns a layer that keeps less for the backward pass.

  Within a scan nothing can be merged with the forward pass, so XLA need not
  be hindered from merging.
  """
  if remat == "none":
    return layer
  policies = jax.checkpoint_policies
  policy = {
    "full": policies.nothing_saveable,
    "dots": policies.dots_with_no_batch_dims_saveable,
  }[remat]
  return jax.checkpoint(layer, policy=policy, prevent_cse=not scanned)


def _scan(stack: Sequence[Mapping[str, Any]], x: Array, step: Layer) -> Array:
  """Scans over a copy of the layers in the activations' dtype.

  The copy is made within the step, so that neither the optimizer nor a
  checkpoint knows of it. Gradients of the kernels pass through that dtype.
  """

  def joined(*leaves: Array) -> Array:
    return jnp.stack([leaf.astype(x.dtype) for leaf in leaves])

  def body(x: Array, layer: tuple[Mapping[str, Any], Array]):
    params, index = layer
    return step(params, x, index), None

  stacked = jax.tree.map(joined, *stack)
  numbers = jnp.arange(len(stack), dtype=jnp.int32)
  return jax.lax.scan(body, x, (stacked, numbers))[0]
