"""A trie on the device, with the static bounds that a jitted search needs."""

import bisect
import dataclasses
import itertools
from collections.abc import Callable
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Int

from genret.decoding.trie import Trie

WIDTH = 128  # children that are gathered at a time, at most

# Numbers of beams for which a level knows how many spans they need at most.
_BEAMS = sorted({n << e for e in range(30) for n in (2, 3)} | {1})


def round_up(size: int) -> int:
  """Rounds a size up to five leading bits: at most a sixteenth is wasted.

  Sizes of device arrays are rounded so that tries of about the same size
  share a compiled search. Large ones are rounded less, since they are the
  memory: to a multiple of 8,192 at most.

  >>> [round_up(n) for n in (0, 1, 31, 33, 100, 1000, 8_800_000)]
  [1, 1, 31, 34, 100, 1024, 8806400]
  """
  step = 1 << min(max(0, size.bit_length() - 5), 13)
  return max(1, -(-size // step) * step)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Level:
  """Static bounds on the branching at one depth.

  The children of a beam are gathered in *spans* of `width` consecutive edges.
  Where no node has more children than that, every beam is one span. Where a
  few nodes have very many, as in docids of text, a static bound for every beam
  would be mostly empty; the bound on the spans of all beams together is not.

  Attributes:
    width: W, edges of a span.
    prefixes: at least the prefixes of docids that are as long as the depth.
    extra: for each of `_BEAMS`, at least the spans of so many beams beyond
      one each.
  """

  width: int
  prefixes: int
  extra: tuple[int, ...]

  @classmethod
  def bound(
    cls,
    degrees: Int[np.ndarray, "M"],
    *,
    prefixes: int,
    round_up: Callable[[int], int] = round_up,
  ) -> Self:
    """Takes the bounds of a level.

    >>> level = Level.bound(np.array([300, 3, 2]), prefixes=3)
    >>> level.width, level.num_spans(1), level.num_spans(3)
    (128, 3, 5)

    Args:
      degrees: children of each node of this depth.
      prefixes: distinct prefixes of this length.
      round_up: rounds the bounds.
    """
    width = min(WIDTH, round_up(int(degrees.max(initial=1))))
    needed = np.sort(-(-degrees // width))[::-1]
    most = np.concatenate([[0], np.cumsum(needed)])
    extra = []
    for beams in _BEAMS:
      nodes = min(beams, len(needed))
      extra.append(int(most[nodes]) - nodes)
    return cls(
      width=width,
      prefixes=round_up(prefixes),
      extra=tuple(round_up(spans) if spans else 0 for spans in extra),
    )

  def num_spans(self, num_beams: int) -> int:
    """Returns the most spans that so many beams have.

    A beam that has arrived at a row, or is no beam, takes one as well.
    """
    return num_beams + self.extra[bisect.bisect_left(_BEAMS, num_beams)]

  def covering(self, other: "Level") -> "Level":
    """Returns bounds that hold at both depths."""
    return Level(
      width=max(self.width, other.width),
      prefixes=max(self.prefixes, other.prefixes),
      extra=tuple(map(max, self.extra, other.extra)),
    )


NARROW = Level(width=1, prefixes=1, extra=(0,) * len(_BEAMS))


@flax.struct.dataclass(kw_only=True)
class Shard:
  """Where one device's part stands in a trie that several devices share.

  Attributes:
    first_node: number that the whole trie gives to the part's node 0.
    first_row: the same of its row 0.
    num_rows: rows of the part.
    axis: static; mesh axis over which the trie is spread.
  """

  first_node: Int[Array, ""]
  first_row: Int[Array, ""]
  num_rows: Int[Array, ""]
  axis: str = flax.struct.field(pytree_node=False)


@flax.struct.dataclass(kw_only=True)
class DeviceTrie:
  """A trie as an argument of a jitted search.

  The names and the numbering are those of `Trie`; sizes are rounded up, and
  what was added is never reached. Rows that were added hold pads alone.

  Attributes:
    root: state of the empty prefix: node 0, or ~0 if there is but one docid.
    levels: static; bounds for each depth.
    shard: where these arrays are a part of a larger trie: its place there.
      Then states of beams are numbered as in the larger one.
  """

  rows: Int[Array, "U T"]
  symbol: Int[Array, "E"]
  child: Int[Array, "E"]
  indptr: Int[Array, "M+1"]
  root: Int[Array, ""]
  levels: tuple[Level, ...] = flax.struct.field(pytree_node=False)
  shard: Shard | None = None

  @classmethod
  def place(
    cls, trie: Trie, *, round_up: Callable[[int], int] = round_up
  ) -> Self:
    """Copies a trie to the default device."""

    def grown(array: np.ndarray, mode: str = "constant") -> Array:
      more = round_up(array.shape[0]) - array.shape[0]
      widths = [(0, more)] + [(0, 0)] * (array.ndim - 1)
      return jax.device_put(np.pad(array, widths, mode=mode))

    return cls(
      rows=grown(trie.rows),
      symbol=grown(trie.symbol),
      child=grown(trie.child),
      indptr=grown(trie.indptr, "edge"),
      root=jax.device_put(np.int32(trie.root)),
      levels=levels(trie, round_up=round_up),
    )

  @property
  def length(self) -> int:
    """T, the symbols of the longest docid."""
    return self.rows.shape[1]

  @property
  def capacity(self) -> int:
    """At least the number of rows; no search finds more."""
    parts = 1 if self.shard is None else jax.lax.axis_size(self.shard.axis)
    return parts * self.rows.shape[0]

  def local(
    self, states: Int[Array, "*B"]
  ) -> tuple[Int[Array, "*B"], Bool[Array, "*B"]]:
    """Returns states as numbered in these arrays, and which are in them."""
    if self.shard is None:
      return states, jnp.ones(states.shape, bool)
    nodes = states - self.shard.first_node
    rows = ~states - self.shard.first_row
    number = jnp.where(states >= 0, nodes, rows)
    num_nodes = self.indptr.shape[0] - 1
    size = jnp.where(states >= 0, num_nodes, self.shard.num_rows)
    mine = (0 <= number) & (number < size)
    return jnp.where(mine, jnp.where(states >= 0, nodes, ~rows), ~0), mine

  def numbered(self, states: Int[Array, "*B"]) -> Int[Array, "*B"]:
    """Returns states of these arrays as numbered in the whole trie."""
    if self.shard is None:
      return states
    first_node, first_row = self.shard.first_node, self.shard.first_row
    return jnp.where(states >= 0, states + first_node, states - first_row)

  def docids(self, states: Int[Array, "B K"]) -> Int[Array, "B K T"]:
    """Returns the docids that beams have arrived at, pads after their end."""
    states, mine = self.local(states)
    rows = self.rows.at[~states].get(mode="clip").astype(jnp.int32)
    if self.shard is None:
      return rows
    return jax.lax.psum(jnp.where(mine[..., None], rows, 0), self.shard.axis)


def levels(
  trie: Trie, *, round_up: Callable[[int], int] = round_up
) -> tuple[Level, ...]:
  """Takes the bounds of every depth of a trie."""
  degrees = np.diff(trie.indptr)
  bounds, prefixes, arrived = [], 1, 0
  for first, last in itertools.pairwise(trie.level_ptr.tolist()):
    bounds.append(
      Level.bound(degrees[first:last], prefixes=prefixes, round_up=round_up)
    )
    edges = trie.child[trie.indptr[first] : trie.indptr[last]]
    prefixes = max(1, len(edges) + arrived)
    arrived += int((edges < 0).sum())
  return tuple(bounds)
