"""Where activations live on a mesh: said by whoever trains, or not at all.

The numeric code names the axes of its activations with t5x's words and knows
no mesh. `genret.training.partitioning` says for the length of a trace which
mesh axis each is split over. Outside of it, as on one device and under t5x,
naming axes does nothing.
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator, Mapping

import jax
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec


@dataclasses.dataclass(frozen=True)
class _Placement:
  mesh: Mesh
  rules: Mapping[str, str | None]


_placement: contextvars.ContextVar[_Placement | None] = contextvars.ContextVar(
  "placement", default=None
)


@contextlib.contextmanager
def placed(mesh: Mesh, rules: Mapping[str, str | None]) -> Iterator[None]:
  """Makes `constrain` split what is traced meanwhile.

  Args:
    mesh: of the program that is traced.
    rules: logical axis name -> mesh axis.
  """
  token = _placement.set(_Placement(mesh, rules))
  try:
    yield
  finally:
    _placement.reset(token)


def constrain(x: Array, *axes: str | None) -> Array:
  """Tells the partitioner how an activation is split.

  Args:
    x: the activation.
    axes: logical names of its axes, None for one that is whole. Fewer than it
      has: the first name is its first axis', the others its last axes'.

  Returns:
    The same values. An axis that the mesh does not divide is kept whole.
  """
  placement = _placement.get()
  if placement is None:
    return x
  middle = (None,) * (x.ndim - len(axes))
  named = (axes[0], *middle, *axes[1:])
  wanted = (placement.rules.get(name) if name else None for name in named)
  sizes = placement.mesh.shape
  spec = PartitionSpec(
    *(
      axis if axis and size % sizes[axis] == 0 else None
      for size, axis in zip(x.shape, wanted, strict=True)
    )
  )
  return jax.lax.with_sharding_constraint(
    x, NamedSharding(placement.mesh, spec)
  )
