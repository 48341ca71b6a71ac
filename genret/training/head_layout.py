"""How the head is split over a mesh, and what its parts must exchange.

The head is split by columns, that is by documents, over the `model` axis, and
the rows of a batch over `data`. Fully sharded, the kernel's D is split over
`data` as well.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Self

import jax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
  """How rows of hidden states and the kernel are split over a mesh.

  Attributes:
    mesh: None where one device has it all.
    rows: Mesh axis over which the rows of hidden states are split.
    depth: Mesh axis over which the kernel's D is split.
    columns: Mesh axis over which the kernel's columns are split.
  """

  mesh: Mesh | None = None
  rows: str | None = None
  depth: str | None = None
  columns: str | None = None

  @classmethod
  def of(
    cls,
    mesh: Mesh,
    *,
    rules: Mapping[str, str | None],
    hidden: Float[Array, "R D"],
    kernel: Float[Array, "D V"],
  ) -> Self:
    """Returns the layout that parameters and batches have on a mesh.

    Args:
      mesh: Where they live.
      rules: Logical axis name -> mesh axis.
      hidden: What the head reads.
      kernel: The head.

    Returns:
      The layout. What a mesh axis does not divide is kept whole.
    """
    if mesh.size == 1:
      return cls()

    def split(name: str, size: int) -> str | None:
      axis = rules.get(name)
      ways = mesh.shape[axis] if axis else 1
      return axis if ways > 1 and size % ways == 0 else None

    return cls(
      mesh=mesh,
      rows=split("batch", hidden.shape[0]),
      depth=split("embed", kernel.shape[0]),
      columns=split("vocab", kernel.shape[1]),
    )

  @property
  def of_rows(self) -> P:
    """How an array of rows is split, [R] or [R, D]."""
    return P(self.rows)

  @property
  def of_kernel(self) -> P:
    """How the kernel and its gradient are split."""
    return P(self.depth, self.columns)

  def map(
    self,
    function: Callable,
    *,
    arguments: tuple[P, ...],
    results: tuple[P, ...],
  ) -> Callable:
    """Returns a function of whole arrays from one of a device's parts."""
    if self.mesh is None:
      return function
    return jax.shard_map(
      function,
      mesh=self.mesh,
      in_specs=arguments,
      out_specs=results,
      check_vma=False,
    )

  def first_column(self, width: int) -> Array | int:
    """Returns the number of the first of this device's columns."""
    if self.columns is None:
      return 0
    return jax.lax.axis_index(self.columns) * width

  def sum_over_columns(self, x: Any) -> Any:
    """Sums over the devices that hold other columns of the same rows."""
    return jax.lax.psum(x, self.columns) if self.columns else x

  def gathered(self, chunk: Array) -> Array:
    """Returns all of D of a chunk of the kernel."""
    if self.depth is None:
      return chunk
    return jax.lax.all_gather(chunk, self.depth, axis=0, tiled=True)

  def summed(self, chunk: Array) -> Array:
    """Sums a chunk of the kernel's gradient over rows; keeps this part of D."""
    if self.depth is None:
      return jax.lax.psum(chunk, self.rows) if self.rows else chunk
    if self.rows != self.depth:  # Every device has seen the same rows.
      chunk = chunk / self.mesh.shape[self.depth]
    return jax.lax.psum_scatter(
      chunk, self.depth, scatter_dimension=0, tiled=True
    )


WHOLE = Layout()
"""Where one device has it all."""
