"""Arrays of a checkpoint, named by path and read one at a time.

A checkpoint of T5-XXL is 44 GB. Readers here return what there is to read;
writers read, write and forget one array after the other.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leaf:
  """An array that is read when asked for.

  Attributes:
    shape: its shape.
    dtype: its type, ml_dtypes' bfloat16 among them.
    read: reads it from where it lies.
  """

  shape: tuple[int, ...]
  dtype: np.dtype
  read: Callable[[], np.ndarray]

  @classmethod
  def of(cls, array: Any) -> Self:
    """Returns the leaf of an array in memory."""
    array = np.asarray(array)
    return cls(shape=array.shape, dtype=array.dtype, read=lambda: array)

  @property
  def num_bytes(self) -> int:
    """Bytes of the array."""
    return math.prod(self.shape) * self.dtype.itemsize

  def changed(
    self,
    shape: tuple[int, ...],
    change: Callable[[np.ndarray], np.ndarray],
  ) -> Self:
    """Returns a leaf that reads this one and changes it to another shape."""
    return dataclasses.replace(
      self, shape=shape, read=lambda: np.ascontiguousarray(change(self.read()))
    )


Leaves = Mapping[str, Leaf]
"""Path in the tree, with slashes -> what lies there."""


def below(leaves: Leaves, prefix: str) -> dict[str, Leaf]:
  """Returns the leaves below a path, named from there.

  >>> leaf = Leaf.of(0)
  >>> list(below({"target/a/b": leaf, "state/step": leaf}, "target"))
  ['a/b']
  """
  start = prefix + "/"
  return {
    path.removeprefix(start): leaf
    for path, leaf in leaves.items()
    if path.startswith(start)
  }


def under(leaves: Leaves, prefix: str) -> dict[str, Leaf]:
  """Puts leaves below a path."""
  return {f"{prefix}/{path}": leaf for path, leaf in leaves.items()}
