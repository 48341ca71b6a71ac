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


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshShape:
  """How many ways the work is split.

  Attributes:
    model: Devices that share one copy of the parameters; the remaining
      factor of the device count splits the batch.
  """

  model: int = 1

  def __post_init__(self):
    if self.model < 1:
      raise ConfigError(f"MeshShape.model is {self.model}; expected 1 or more.")

  def build(self) -> Mesh:
    """Returns the mesh over all devices.

    Raises:
      ConfigError: If the device count is no multiple of `model`.
    """
    devices = np.asarray(jax.devices())
    if devices.size % self.model:
      raise ConfigError(
        f"{devices.size} devices cannot be split {self.model} ways over the"
        " model axis; choose a divisor of the device count."
      )
    return Mesh(devices.reshape(-1, self.model), ("data", "model"))


def parameter_shardings(variables: Mapping[str, Any], mesh: Mesh) -> Any:
  """Returns one sharding for each parameter, by the rules of its axes.

  Args:
    variables: Abstract or concrete output of `module.init`, with the
      collections `params` and `params_axes`.
    mesh: The mesh to place parameters on.

  Returns:
    A tree shaped like `variables["params"]`. An axis that the mesh does not
    divide evenly is kept whole.
  """
  names = nn_partitioning.get_axis_names(variables["params_axes"])
  names = flax.core.unfreeze(names)

  def place(leaf: Any, axes: PartitionSpec) -> NamedSharding:
    rules = dict(AXIS_RULES)
    spec = [
      mesh_axis if mesh_axis and size % mesh.shape[mesh_axis] == 0 else None
      for size, mesh_axis in zip(
        leaf.shape, (rules[name] for name in axes), strict=True
      )
    ]
    return NamedSharding(mesh, PartitionSpec(*spec))

  params = flax.core.unfreeze(variables["params"])
  return jax.tree.map(place, params, names)


def replicated(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of an array that every device holds whole."""
  return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of a batch: its first axis over `data`."""
  return NamedSharding(mesh, PartitionSpec("data"))
