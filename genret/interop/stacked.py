"""Layers stacked on axis 1 (t5x's scan) to layers by number, and back.

t5x's scalable T5 keeps `encoder/encoder/mlp/wo/kernel` [mlp, layers, embed]
for our `encoder/layers_i/mlp/wo/kernel` [mlp, embed]. Its attention kernels
may keep heads apart, [embed, layers, heads, head_dim], and each of its layers
has a position bias of its own. T5.1.1 has one bias for all, so a checkpoint
whose layers differ in theirs is another model, and refused.
"""

import dataclasses
import functools
import math
import re
from typing import Any

import numpy as np

from genret.core.errors import ArtifactError
from genret.interop.leaves import Leaf, Leaves

AXIS = 1
_STACKED = re.compile(r"(encoder|decoder)/\1/(.+)")
_LAYER = re.compile(r"(encoder|decoder)/layers_(\d+)/(.+)")
_BIAS = "relpos_bias/rel_embedding"
_ATTENTION = re.compile(r".*attention/(query|key|value|out)/kernel")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stacking:
  """How a checkpoint kept its layers, to be able to write it back.

  Attributes:
    num_heads: heads of attention kernels that kept them apart; None where
      they are joined.
    bias_in_layers: whether every layer had the position bias.
  """

  num_heads: int | None
  bias_in_layers: bool


def unstack(params: Leaves) -> tuple[dict[str, Leaf], Stacking | None]:
  """Takes stacked layers apart.

  Args:
    params: the parameters of a checkpoint.

  Returns:
    Those of T5.1.1's names, and how they were stacked; None where they were
    not. A stacked array is read once where its layers are read in turn, as
    `in_turn` orders them, and else once a layer.

  Raises:
    ArtifactError: the layers differ in their position bias.
  """
  out: dict[str, Leaf] = {}
  num_heads, bias_in_layers, found = None, False, False
  kept = _LastRead()
  for path, leaf in params.items():
    match = _STACKED.fullmatch(path)
    if not match:
      out[path] = leaf
      continue
    found = True
    stack, rest = match.groups()
    if rest == _BIAS:
      bias_in_layers = True
      out[f"{stack}/{rest}"] = _one_bias(path, leaf)
      continue
    if _ATTENTION.fullmatch(rest) and len(leaf.shape) == 4:
      out_kernel = rest.endswith("out/kernel")
      num_heads = leaf.shape[0 if out_kernel else 2]
    leaf = kept.reading(path, leaf)
    out |= {
      f"{stack}/layers_{i}/{rest}": _taken(leaf, i, rest)
      for i in range(leaf.shape[AXIS])
    }
  if not found:
    return dict(params), None
  return out, Stacking(num_heads=num_heads, bias_in_layers=bias_in_layers)


def in_turn(params: Leaves) -> dict[str, Leaf]:
  """Orders parameters by name, all layers of a kernel behind each other.

  >>> leaf = Leaf.of(0)
  >>> a, b, c = (f"encoder/layers_{i}" for i in ("2/a", "10/a", "2/b"))
  >>> list(in_turn({c: leaf, b: leaf, a: leaf}))
  ['encoder/layers_2/a', 'encoder/layers_10/a', 'encoder/layers_2/b']
  """

  def place(path: str) -> tuple[str, int]:
    match = _LAYER.fullmatch(path)
    if not match:
      return path, 0
    name, number, rest = match.groups()
    return f"{name}/layers/{rest}", int(number)

  return {path: params[path] for path in sorted(params, key=place)}


class _LastRead:
  """The array that was read last, of several that are read in turn."""

  def __init__(self):
    self._path: str | None = None
    self._array: np.ndarray | None = None

  def reading(self, path: str, leaf: Leaf) -> Leaf:
    """Returns the leaf, not read again while no other one is."""

    def read() -> np.ndarray:
      if self._path != path:
        self._path = self._array = None  # two would be in memory
        self._array = leaf.read()
        self._path = path
      return self._array

    return dataclasses.replace(leaf, read=read)


def stack(params: Leaves, stacking: Stacking) -> dict[str, Leaf]:
  """Stacks layers as they were."""
  out: dict[str, Leaf] = {}
  layers: dict[str, dict[int, Leaf]] = {}
  for path, leaf in params.items():
    if match := _LAYER.fullmatch(path):
      name, number, rest = match.groups()
      layers.setdefault(f"{name}/{name}/{rest}", {})[int(number)] = leaf
    else:
      out[path] = leaf
  for path, parts in layers.items():
    ordered = [
      _split(parts[i], path, stacking.num_heads) for i in range(len(parts))
    ]
    out[path] = _joined(ordered)
  if not stacking.bias_in_layers:
    return out
  for name in ("encoder", "decoder"):
    count = len(layers[f"{name}/{name}/mlp/wo/kernel"])
    bias = out.pop(f"{name}/{_BIAS}")
    out[f"{name}/{name}/{_BIAS}"] = _joined([bias] * count)
  return out


def _taken(leaf: Leaf, index: int, rest: str) -> Leaf:
  """Returns one layer, with its heads joined."""
  shape = leaf.shape[:AXIS] + leaf.shape[AXIS + 1 :]
  if _ATTENTION.fullmatch(rest) and len(shape) == 3:
    out_kernel = rest.endswith("out/kernel")
    shape = _join_heads(shape, first=out_kernel)
  return leaf.changed(
    shape, lambda array: array.take(index, AXIS).reshape(shape)
  )


def _join_heads(shape: tuple[int, ...], *, first: bool) -> tuple[int, ...]:
  if first:
    return math.prod(shape[:2]), shape[2]
  return shape[0], math.prod(shape[1:])


def _split(leaf: Leaf, path: str, num_heads: int | None) -> Leaf:
  """Returns an attention kernel with its heads apart, where they were."""
  if num_heads is None or not _ATTENTION.fullmatch(path):
    return leaf
  rows, columns = leaf.shape
  shape = (
    (num_heads, rows // num_heads, columns)
    if path.endswith("out/kernel")
    else (rows, num_heads, columns // num_heads)
  )
  return leaf.changed(shape, lambda array: array.reshape(shape))


def _joined(parts: list[Leaf]) -> Leaf:
  shape = parts[0].shape
  return Leaf(
    shape=(*shape[:AXIS], len(parts), *shape[AXIS:]),
    dtype=parts[0].dtype,
    read=lambda: np.stack([part.read() for part in parts], AXIS),
  )


def _one_bias(path: str, leaf: Leaf) -> Leaf:
  """Returns the bias that all layers share."""
  array = leaf.read()  # a few kilobytes in any T5
  first = np.ascontiguousarray(array.take(0, AXIS))
  same = functools.partial(np.array_equal, first)
  if not all(same(array.take(i, AXIS)) for i in range(array.shape[AXIS])):
    raise ArtifactError(
      f"Each layer has a position bias of its own in {path!r} (as in umT5, and"
      " in what t5x's scalable T5 trains); T5.1.1 has one for all layers, so"
      " this checkpoint is another model."
    )
  return Leaf.of(first)


def to_json(stacking: Stacking | None) -> dict[str, Any] | None:
  """Returns a stacking as JSON."""
  return None if stacking is None else dataclasses.asdict(stacking)


def from_json(value: dict[str, Any] | None) -> Stacking | None:
  """Reads a stacking from JSON."""
  return None if value is None else Stacking(**value)
