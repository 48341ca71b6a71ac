"""Bytes that a training step takes on a device, counted before there is one.

Parameters, gradients and the optimizer's state are exact: their shapes and
how the mesh splits them are known. Activations are a formula, in the letters
of the house (B rows a device, L and T positions, D, F hidden units, J = H x Dh
joined heads, a bytes of an activation, m ways over the model axis), of which
docs/plan.md says how far it is from what XLA allocates.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from genret.models import pawa
from genret.models.sizes import T5Config
from genret.training import partitioning
from genret.training.chunked import Chunked
from genret.training.losses import Loss
from genret.training.partitioning import MeshShape
from genret.training.sampled import Sampled

FLOAT32 = 4
STATE = ("weights", "optimizer state", "gradients")
UPDATE = "update at work"
EVALUATION = "judging on dev queries"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows:
  """What a device reads at a time: some rows of a batch.

  Attributes:
    count: B, rows a device and pass; a pass is a step's share where gradients
      are accumulated.
    input_length: L.
    target_length: T.
  """

  count: int
  input_length: int
  target_length: int


def shard_bytes(
  tree: Any, specs: Any, sizes: Mapping[str, int], *, itemsize: int = 0
) -> int:
  """Sums what one device holds of arrays.

  Args:
    tree: Arrays or their shapes.
    specs: A tree of PartitionSpecs of the same form.
    sizes: Mesh axis -> devices along it.
    itemsize: Bytes an element; 0 for the leaf's own.
  """
  return sum(
    math.prod(_shard_shape(leaf.shape, spec, sizes))
    * (itemsize or leaf.dtype.itemsize)
    for leaf, spec in zip(
      jax.tree.leaves(tree),
      jax.tree.leaves(specs, is_leaf=_is_spec),
      strict=True,
    )
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
  """The parameters of a model, and how a mesh splits them.

  Attributes:
    variables: Abstract output of `module.init`.
    sizes: Mesh axis -> devices along it.
    mesh: The settings that the rules are of.
  """

  variables: Mapping[str, Any]
  sizes: Mapping[str, int]
  mesh: MeshShape

  @functools.cached_property
  def specs(self) -> Any:
    """How each parameter is split."""
    return partitioning.partition_specs(
      self.variables, self.sizes, self.mesh.rules
    )

  def state_bytes(self, state: Any) -> dict[str, int]:
    """Counts the bytes of what a step reads and writes, on one device.

    Args:
      state: Abstract state of the optimizer.

    Returns:
      Bytes of STATE, in its order.
    """
    params = self.variables["params"]
    specs = partitioning.state_specs(state, params, self.specs)
    weights = shard_bytes(params, self.specs, self.sizes)
    counted = weights, shard_bytes(state, specs, self.sizes), weights
    return dict(zip(STATE, counted, strict=True))

  @functools.cached_property
  def largest(self) -> int:
    """Bytes on a device of the parameter that has most."""
    return max(
      shard_bytes(leaf, spec, self.sizes)
      for leaf, spec in zip(
        jax.tree.leaves(self.variables["params"]),
        jax.tree.leaves(self.specs, is_leaf=_is_spec),
        strict=True,
      )
    )

  @functools.cached_property
  def layer_elements(self) -> tuple[int, int]:
    """Elements on a device of all layers, and of the widest one whole.

    Whole over the data axis, that is; 0 where it is held so anyhow.
    """
    gathered = partitioning.partition_specs(
      self.variables, self.sizes, MeshShape().rules
    )
    total, widest = 0, 0
    for part in ("encoder", "decoder"):
      tree = self.variables["params"][part]
      for name in (name for name in tree if name.startswith("layers_")):
        held, whole = (
          shard_bytes(tree[name], specs[part][name], self.sizes, itemsize=1)
          for specs in (self.specs, gathered)
        )
        total += held
        widest = max(widest, whole)
    return total, widest * self.mesh.fully_sharded


def peak(parts: Mapping[str, int]) -> int:
  """Returns the bytes of a step at its most.

  Activations are gone when the optimizer changes one parameter after another,
  and the gradients too when the state is judged.

  >>> peak({"weights": 4, "kept for backward": 3, UPDATE: 2})
  7
  >>> peak({"weights": 4, "gradients": 4, UPDATE: 2, EVALUATION: 7})
  11

  Args:
    parts: What is held: STATE all through a step, UPDATE at its end, all else
      before; EVALUATION between two steps.
  """
  held = sum(parts.get(name, 0) for name in STATE)
  update, judging = parts.get(UPDATE, 0), parts.get(EVALUATION, 0)
  passes = sum(parts.values()) - held - update - judging
  return held + max(passes, update, judging - parts.get("gradients", 0))


def activation_bytes(
  config: T5Config, loss: Loss, rows: Rows, *, weights: Weights
) -> dict[str, int]:
  """Estimates the bytes of activations on one device, at their most.

  Args:
    config: Of the model; its dtype, remat and scan_layers count.
    loss: How the head is computed.
    rows: What the device reads in a pass.
    weights: Of the model, as they are split.

  Returns:
    Bytes of "kept for backward" (by all layers), "layer at work" (what one
    makes again, and its weights put together), "copy of layers" (that a scan
    goes over) and "head at work".
  """
  if loss.consistency:  # Two passes, both kept.
    rows = dataclasses.replace(rows, count=2 * rows.count)
  ways = weights.sizes["model"]
  encoder = _encoder_layer(config, rows, ways)
  decoder = _decoder_layer(config, rows, ways)
  kept = (
    config.num_encoder_layers * encoder[config.remat]
    + config.num_decoder_layers * decoder[config.remat]
    + _outside_layers(config, rows, ways)
    + _adaptor(config, rows, ways)
  )
  again = max(encoder["none"], decoder["none"]) * (config.remat != "none")
  held, widest = weights.layer_elements
  size = _itemsize(config)
  # The copy has a gradient; the next layer is fetched while one is at work.
  return {
    "kept for backward": kept,
    "layer at work": again + 2 * size * widest,
    "copy of layers": 2 * size * held * config.scan_layers,
    "head at work": _head(config, loss, rows, weights=weights),
  }


def _encoder_layer(config: T5Config, rows: Rows, ways: int) -> dict[str, int]:
  """Returns bytes kept by a layer, for each way of rematerialisation."""
  size, wide, joined, hidden, heads = _widths(config, ways)
  length = rows.input_length
  products = 3 * joined + 2 * hidden
  every = {
    "none": size * (4 * joined + 8 * hidden)
    + 2 * _norm(config)
    + heads * length * (FLOAT32 + size),
    "dots": size * (2 * wide + products),
    "full": size * wide,
  }
  return {how: rows.count * length * n for how, n in every.items()}


def _decoder_layer(config: T5Config, rows: Rows, ways: int) -> dict[str, int]:
  """The same of a decoder layer, keys and values of the inputs included."""
  size, wide, joined, hidden, heads = _widths(config, ways)
  length, inputs = rows.target_length, rows.input_length
  attended = heads * (length + inputs)
  every = {
    "none": size * (6 * joined + 8 * hidden)
    + 3 * _norm(config)
    + attended * (FLOAT32 + size),
    "dots": size * (3 * wide + 4 * joined + 2 * hidden),
    "full": size * wide,
  }
  cross = 2 * size * joined * inputs
  return {
    how: rows.count * (length * n + (how != "full") * cross)
    for how, n in every.items()
  }


def _adaptor(config: T5Config, rows: Rows, ways: int) -> int:
  """Counts what a prefix-aware head's adaptor keeps, and its last norm."""
  if config.pawa is None:
    return 0
  targets = dataclasses.replace(rows, input_length=rows.target_length)
  layer = _encoder_layer(config.adaptor, targets, ways)[config.remat]
  positions = rows.count * rows.target_length
  return config.pawa.num_layers * layer + positions * _norm(config)


def _outside_layers(config: T5Config, rows: Rows, ways: int) -> int:
  """Counts the last norms, the encoder's output and the attention biases."""
  size, wide, _, _, heads = _widths(config, ways)
  length, targets = rows.input_length, rows.target_length
  streams = (length + targets) * _norm(config) + length * size * wide
  biases = FLOAT32 * (heads * (length**2 + targets**2) + targets * length)
  buckets = FLOAT32 * config.relpos_buckets * (length**2 + targets**2)
  return rows.count * (streams + biases) + buckets


def _norm(config: T5Config) -> int:
  """A norm keeps its input and its result twice, once in float32."""
  return config.emb_dim * 2 * (FLOAT32 + _itemsize(config))


def _widths(config: T5Config, ways: int) -> tuple[int, int, int, int, int]:
  """Returns a, D, J / m, F / m and H / m; what m does not divide is whole."""
  heads = _divided(config.num_heads, ways)
  return (
    _itemsize(config),
    config.emb_dim,
    heads * config.head_dim,
    _divided(config.mlp_dim, ways),
    heads,
  )


def _head(
  config: T5Config,
  loss: Loss,
  rows: Rows,
  *,
  weights: Weights,
) -> int:
  """Counts logits, probabilities and their gradient, whole or of a chunk."""
  how = loss.head_for(config.head_width)
  width = _divided(config.head_width, weights.sizes["model"])
  symbols = rows.count * rows.target_length
  kernel = 0
  if isinstance(how, Chunked):
    width = min(how.size, width)
    kernel = 2 * config.emb_dim * width  # a chunk and its gradient
  elif isinstance(how, Sampled):
    width = how.negatives
    kernel = 2 * config.emb_dim * width
  elif weights.mesh.fully_sharded:
    kernel = config.emb_dim * width  # put together whole
  if config.pawa is not None:  # of one product and of its gradient
    kernel += 2 * max(pawa.ALIVE, symbols * config.emb_dim)
  return FLOAT32 * (3 * symbols * width + kernel)


def _shard_shape(
  shape: tuple[int, ...], spec: PartitionSpec, sizes: Mapping[str, int]
) -> tuple[int, ...]:
  axes = (*spec, *[None] * (len(shape) - len(spec)))
  return tuple(
    size // (sizes[axis] if axis else 1)
    for size, axis in zip(shape, axes, strict=True)
  )


def _divided(size: int, ways: int) -> int:
  return size // ways if size % ways == 0 else size


def _itemsize(config: T5Config) -> int:
  return jnp.dtype(config.dtype).itemsize


def _is_spec(leaf: Any) -> bool:
  return isinstance(leaf, PartitionSpec)
