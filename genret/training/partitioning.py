"""Where arrays live: one mesh, one list of logical-axis rules.

The mesh has a `data` axis, over which batches are split, and a `model` axis,
over which the wide dimensions of parameters are split. On one device both
have size one and the same program runs.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax
import jax
import numpy as np
from flax.linen import partitioning as nn_partitioning
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from genret.core.errors import ConfigError

# Logical axis name -> mesh axis; the rules of t5x's one-dimensional layout,
# and `docid_symbols`, the rows of an embedding that t5x does not have.
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
  ("length", None),
  ("layers", None),
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
  def rules(self) -> dict[str, str | None]:
    """Logical axis name -> mesh axis."""
    return dict(AXIS_RULES) | dict(FULLY_SHARDED if self.fully_sharded else ())


def partition_specs(
  variables: Mapping[str, Any],
  sizes: Mapping[str, int],
  rules: Mapping[str, str | None] = MeshShape().rules,
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


def parameter_shardings(
  variables: Mapping[str, Any],
  mesh: Mesh,
  rules: Mapping[str, str | None] = MeshShape().rules,
) -> Any:
  """Returns one sharding for each parameter: see `partition_specs`."""
  return jax.tree.map(
    lambda spec: NamedSharding(mesh, spec),
    partition_specs(variables, mesh.shape, rules),
    is_leaf=lambda leaf: isinstance(leaf, PartitionSpec),
  )


def replicated(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of an array that every device holds whole."""
  return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of a batch: its first axis over `data`."""
  return NamedSharding(mesh, PartitionSpec("data"))
