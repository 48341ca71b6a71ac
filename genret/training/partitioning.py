"""Where arrays live: one mesh, one list of logical-axis rules.

The mesh has a `data` axis, over which batches are split, and a `model` axis,
over which the wide dimensions of parameters are split. On one device both
have size one and the same program runs. The rules name where parameters,
their optimizer's state and activations are split; XLA's partitioner works out
what has to be sent.
"""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

import flax
import jax
import numpy as np
from flax.linen import partitioning as nn_partitioning
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from genret.core.errors import ConfigError
from genret.models import activations

Rules = Mapping[str, str | None]

# Logical axis name -> mesh axis; the rules of t5x's one-dimensional layout,
# and two that t5x does not have: `docid_symbols`, the rows of an embedding, and
# `level_symbols`, the matrices of a prefix-aware head.
AXIS_RULES: tuple[tuple[str, str | None], ...] = (
  ("batch", "data"),
  ("vocab", "model"),
  ("docid_symbols", "model"),
  ("mlp", "model"),
  ("heads", "model"),
  ("joined_kv", "model"),
  ("embed", None),
  ("kv", None),
  ("relpos_buckets", None),
  ("abspos_buckets", None),
  ("length", None),
  ("layers", None),
  ("level_symbols", None),
)


# What fully sharded parameters have besides: the narrow dimension of every
# matrix over the devices that otherwise hold copies of it (ZeRO, Rajbhandari
# et al., arXiv 1910.02054; t5x's two-dimensional parameters).
FULLY_SHARDED: tuple[tuple[str, str | None], ...] = (("embed", "data"),)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshShape:
  """How many ways the work is split.

  Attributes:
    model: Devices that share one copy of the wide dimensions of parameters;
      the remaining factor of the device count splits the batch.
    fully_sharded: Whether the narrow dimensions, and with them the
      optimizer's state, are split over the batch's devices as well.
  """

  model: int = 1
  fully_sharded: bool = False

  def __post_init__(self):
    if self.model < 1:
      raise ConfigError(f"MeshShape.model is {self.model}; expected 1 or more.")

  def sizes(self, num_devices: int) -> dict[str, int]:
    """Returns mesh axis -> devices along it.

    >>> MeshShape(model=2).sizes(8)
    {'data': 4, 'model': 2}

    Raises:
      ConfigError: If the device count is no multiple of `model`.
    """
    if num_devices % self.model:
      raise ConfigError(
        f"{num_devices} devices cannot be split {self.model} ways over the"
        " model axis; choose a divisor of the device count."
      )
    return {"data": num_devices // self.model, "model": self.model}

  def build(self) -> Mesh:
    """Returns the mesh over all devices of all processes.

    Raises:
      ConfigError: If the device count is no multiple of `model`.
    """
    sizes = self.sizes(jax.device_count())
    devices = np.asarray(jax.devices()).reshape(*sizes.values())
    return Mesh(devices, tuple(sizes))

  @property
  def rules(self) -> Rules:
    """Logical axis name of a parameter -> mesh axis."""
    return dict(AXIS_RULES) | dict(FULLY_SHARDED if self.fully_sharded else ())


def partition_specs(
  variables: Mapping[str, Any],
  sizes: Mapping[str, int],
  rules: Rules = MeshShape().rules,
) -> Any:
  """Returns how each parameter is split, by the names of its axes.

  Needs no device: `genret plan` asks it about meshes that are not there.

  Args:
    variables: Abstract or concrete output of `module.init`, with the
      collections `params` and `params_axes`.
    sizes: Mesh axis -> devices along it.
    rules: Logical axis name -> mesh axis.

  Returns:
    A tree of PartitionSpec shaped like `variables["params"]`. An axis that
    the mesh does not divide evenly is kept whole.
  """
  names = nn_partitioning.get_axis_names(variables["params_axes"])
  names = flax.core.unfreeze(names)

  def split(leaf: Any, axes: PartitionSpec) -> PartitionSpec:
    wanted = (rules[name] for name in axes)
    return PartitionSpec(
      *(
        mesh_axis if mesh_axis and size % sizes[mesh_axis] == 0 else None
        for size, mesh_axis in zip(leaf.shape, wanted, strict=True)
      )
    )

  params = flax.core.unfreeze(variables["params"])
  return jax.tree.map(split, params, names)


def state_specs(state: Any, params: Any, specs: Any) -> Any:
  """Returns how an optimizer's state is split: like its parameters.

  A leaf belongs to the parameter whose path ends its own. One that has the
  parameter's shape is split as it is. Adafactor's factored second moments
  lack a dimension, `v_row` the largest and `v_col` the second largest, and
  are split as the dimensions that are left. What is neither is whole.

  Args:
    state: Abstract or concrete state of an optax optimizer.
    params: Abstract or concrete parameters.
    specs: Their PartitionSpecs, from `partition_specs`.

  Returns:
    A tree of PartitionSpec shaped like the state.
  """
  leaves = jax.tree_util.tree_leaves_with_path(params)
  known = {
    path: (leaf.shape, spec)
    for (path, leaf), spec in zip(
      leaves, jax.tree.leaves(specs, is_leaf=_is_spec), strict=True
    )
  }

  def split(path: tuple[Any, ...], leaf: Any) -> PartitionSpec:
    for start in range(len(path)):
      if path[start:] in known:
        above = {str(getattr(entry, "name", "")) for entry in path[:start]}
        return _like(leaf.shape, *known[path[start:]], within=above)
    return PartitionSpec()

  return jax.tree_util.tree_map_with_path(split, state)


def _like(
  shape: tuple[int, ...],
  whole: tuple[int, ...],
  spec: PartitionSpec,
  *,
  within: set[str],
) -> PartitionSpec:
  """Returns how a leaf is split that goes with a parameter of shape `whole`."""
  if shape == whole:
    return spec
  ascending = np.argsort(whole)  # as optax orders them, equal ones too
  for name, lost in (("v_row", -1), ("v_col", -2)):
    if name not in within or len(whole) < 2:
      continue
    left = np.delete(np.arange(len(whole)), ascending[lost])
    if shape == tuple(whole[i] for i in left):
      return PartitionSpec(*(spec[i] for i in left))
  return PartitionSpec()


def _is_spec(leaf: Any) -> bool:
  return isinstance(leaf, PartitionSpec)


def placements(specs: Any, mesh: Mesh) -> Any:
  """Turns a tree of PartitionSpecs into one of shardings on a mesh."""
  return jax.tree.map(
    lambda spec: NamedSharding(mesh, spec), specs, is_leaf=_is_spec
  )


def constrained(mesh: Mesh) -> contextlib.AbstractContextManager[None]:
  """Returns a context in which models are traced for this mesh.

  Their activations are then split by rows over `data`, and by heads, hidden
  units and symbols over `model`. So a narrow dimension that parameters are
  split by is put together where it is used: weights travel, not activations.
  On one device nothing is said to the partitioner.
  """
  if mesh.size == 1:
    return contextlib.nullcontext()
  return activations.placed(mesh, dict(AXIS_RULES))


def replicated(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of an array that every device holds whole."""
  return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh, *, axis: int = 0) -> NamedSharding:
  """Returns the sharding of a batch: the axis of its rows over `data`."""
  return NamedSharding(mesh, PartitionSpec(*[None] * axis, "data"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputShard:
  """Which part of every batch a process reads.

  Attributes:
    index: its number.
    count: how many parts there are, of equally many rows.
  """

  index: int
  count: int


def input_shard(mesh: Mesh) -> InputShard:
  """Returns the part of a batch whose rows are on this process's devices.

  Processes whose devices hold the same rows, since the model axis goes
  through them all, read the same part.

  Raises:
    ConfigError: If the rows of some process are partly those of another.
  """
  by_process: dict[int, list[int]] = {}
  for place, devices in enumerate(mesh.devices):
    for process in {device.process_index for device in devices}:
      by_process.setdefault(process, []).append(place)
  parts = sorted(map(list, {tuple(places) for places in by_process.values()}))
  if sum(map(len, parts)) > len(mesh.devices) or len(set(map(len, parts))) > 1:
    raise ConfigError(
      "The model axis goes through some processes in part; choose"
      " MeshShape.model so that it divides the devices of a process, or is a"
      " multiple of them."
    )
  mine = by_process[jax.process_index()]
  return InputShard(index=parts.index(mine), count=len(parts))


def check_rows(batch_size: int, mesh: Mesh, *, parts: int = 1) -> None:
  """Refuses a batch that does not divide evenly.

  Args:
    batch_size: Rows of all processes together.
    mesh: Where they go, split over `data`.
    parts: How many parts a batch is taken in.

  Raises:
    ConfigError: If devices, or parts of a batch, would differ in rows.
  """
  devices = mesh.shape["data"]
  if batch_size % (devices * parts):
    raise ConfigError(
      f"A batch of {batch_size} rows does not divide into {parts} parts over"
      f" {devices} devices each; make it a multiple of {devices * parts}."
    )
