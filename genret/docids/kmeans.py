"""K-means of many groups of rows of one file of vectors."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from genret.core import cores
from genret.docids import lloyd

ITERATIONS = 25
"""The most of Lloyd's iterations, unless said otherwise."""

_ROWS_AT_ONCE = 1 << 13
_ON_ACCELERATORS = 1 << 17
_GATHERING = 2  # threads, so that one fills a pack while a device solves one
_LEAST_BLOCK = 64
_ALIGNED = 64  # bytes


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Clustering:
  """A group of rows in k clusters.

  Attributes:
    centroids: [k, D], float32; where a group has fewer distinct vectors than
      k, some of them own no row.
    labels: the number of the nearest centroid of each row [n].
  """

  centroids: np.ndarray
  labels: np.ndarray


def fit(
  vectors: np.ndarray,
  groups: Sequence[np.ndarray],
  *,
  k: int,
  seeds: Sequence[int],
  iterations: int = ITERATIONS,
) -> list[Clustering]:
  """Clusters several groups of rows, each into k.

  Args:
    vectors: [N, D], may be memory-mapped; only the groups' rows are read,
      some at a time.
    groups: G arrays of row numbers.
    k: clusters a group.
    seeds: G whole numbers.
    iterations: the most Lloyd iterations; they end sooner when the error
      falls by less than a ten-thousandth.

  Returns:
    G clusterings, in the order of the groups.
  """
  layouts = list(_layouts([len(rows) for rows in groups], _block(k)))

  def solved(layout: _Layout) -> list[Clustering]:
    here = slice(layout.start, layout.start + len(layout.sizes))
    centroids, labels = lloyd.solve(
      layout.pack(vectors, groups[here]),
      layout.chances(seeds[here], k),
      iterations=iterations,
      by_index=_on_cpu(),
    )
    return layout.unpacked(np.asarray(centroids), np.asarray(labels))

  with _workers() as pool:
    return list(itertools.chain.from_iterable(pool.map(solved, layouts)))


def assign(
  vectors: np.ndarray, rows: np.ndarray, centroids: Float[np.ndarray, "k D"]
) -> Int[np.ndarray, " n"]:
  """Finds the nearest centroid of each row, a block at a time.

  Args:
    vectors: [N, D], may be memory-mapped; a block for each core is in memory
      at a time.
    rows: the n row numbers to look at.
    centroids: as `fit` gives them.

  Returns:
    Numbers of centroids; the first of several equally near ones.
  """
  labels = np.empty(len(rows), np.int32)

  def label(start: int) -> None:
    members = rows[start : start + _rows_at_once()]
    points = _empty(_rows_at_once(), vectors)
    _gather(vectors, members, points)
    found = np.asarray(_nearest(jax.device_put(points), centroids))
    labels[start : start + len(members)] = found[: len(members)]

  with _workers() as pool:
    list(pool.map(label, range(0, len(rows), _rows_at_once())))
  return labels


def within_cluster_error(
  vectors: np.ndarray, rows: np.ndarray, centroids: Float[np.ndarray, "k D"]
) -> float:
  """Sums the squared distances of rows to their nearest centroid."""
  labels = assign(vectors, rows, centroids)
  total = 0.0
  for start in range(0, len(rows), _ROWS_AT_ONCE):
    members = slice(start, start + _ROWS_AT_ONCE)
    points = np.asarray(vectors[rows[members]], np.float32)
    apart = points - centroids[labels[members]]
    total += float(np.square(apart, dtype=np.float64).sum())
  return total


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Layout:
  """Where some neighbouring groups stand in a pack.

  Attributes:
    start: the number of the first of these groups.
    sizes: rows of each of them.
    block: rows a block.
    blocks: of the pack, the empty ones included.
    room: groups that the pack is shaped for.
  """

  start: int
  sizes: tuple[int, ...]
  block: int
  blocks: int
  room: int

  @property
  def firsts(self) -> np.ndarray:
    """The first block of each group, and that behind the last [G + 1]."""
    used = [-(-size // self.block) for size in self.sizes]
    return np.cumsum([0, *used])

  def pack(
    self, vectors: np.ndarray, groups: Sequence[np.ndarray]
  ) -> lloyd.Pack:
    """Gathers the groups' points."""
    firsts = self.firsts
    points = _empty(self.blocks * self.block, vectors)
    for first, rows in zip(firsts[:-1] * self.block, groups, strict=True):
      _gather(vectors, rows, points[first : first + len(rows)])
    owner = np.full(self.blocks, len(groups) - 1, np.int32)
    owner[: firsts[-1]] = np.repeat(np.arange(len(groups)), np.diff(firsts))
    first = np.zeros(self.room, np.int32)
    first[: len(groups)] = firsts[:-1] * self.block
    count = np.zeros(self.room, np.int32)
    count[: len(groups)] = self.sizes
    points = jax.device_put(points.reshape(self.blocks, self.block, -1))
    return lloyd.Pack(points, owner, first, count)

  def unpacked(
    self, centroids: np.ndarray, labels: np.ndarray
  ) -> list[Clustering]:
    """Takes the groups' clusterings out of a solved pack."""
    starts = self.firsts * self.block
    labels = labels.reshape(-1)
    return [
      Clustering(
        centroids=centroids[i], labels=labels[starts[i] : starts[i] + size]
      )
      for i, size in enumerate(self.sizes)
    ]

  def chances(self, seeds: Sequence[int], k: int) -> np.ndarray:
    """Draws each group's numbers from its own seed."""
    out = np.zeros((self.room, k, _tries(k)), np.float32)
    for slot, seed in enumerate(seeds):
      random = np.random.default_rng(seed)
      out[slot] = random.random(out.shape[1:], np.float32)
    return out


def _layouts(sizes: Sequence[int], block: int) -> Iterator[_Layout]:
  """Fills packs with groups in their order; a large group has its own."""
  blocks = _rows_at_once() // block
  start, used = 0, 0
  for i, size in enumerate(sizes):
    needed = -(-size // block)
    if i > start and used + needed > blocks:
      yield _layout(sizes[start:i], start, block)
      start, used = i, 0
    used += needed
  if len(sizes) > start:
    yield _layout(sizes[start:], start, block)


def _layout(sizes: Sequence[int], start: int, block: int) -> _Layout:
  blocks = room = _rows_at_once() // block
  if len(sizes) == 1 and sizes[0] > blocks * block:
    blocks, room = 1 << (-(-sizes[0] // block) - 1).bit_length(), 1
  return _Layout(
    start=start, sizes=tuple(sizes), block=block, blocks=blocks, room=room
  )


def _block(k: int) -> int:
  """Rows a block: several times as many as clusters.

  A block's sums are k rows, which should be few beside its own.

  >>> [_block(k) for k in (2, 10, 30, 255)]
  [64, 64, 128, 1024]
  """
  return max(_LEAST_BLOCK, 1 << (4 * k - 1).bit_length())


def _tries(k: int) -> int:
  """Points that compete to be the next of k starting centres."""
  return 2 + int(math.log(k))


def _on_cpu() -> bool:
  return jax.default_backend() == "cpu"


def _workers() -> ThreadPoolExecutor:
  """Threads that each gather and solve packs.

  XLA solves a pack on one core: its products are too narrow to share.
  """
  return ThreadPoolExecutor(
    max(_GATHERING, cores.available()) if _on_cpu() else _GATHERING
  )


def _rows_at_once() -> int:
  """Rows of a pack: they fit a CPU's caches, or keep a large device busy."""
  return _ROWS_AT_ONCE if _on_cpu() else _ON_ACCELERATORS


def _empty(rows: int, vectors: np.ndarray) -> np.ndarray:
  """Room for rows, placed so that JAX on a CPU reads it where it lies."""
  dtype = np.dtype(np.float16 if vectors.dtype == np.float16 else np.float32)
  size = rows * vectors.shape[1] * dtype.itemsize
  room = np.zeros(size + _ALIGNED, np.uint8)
  start = -room.ctypes.data % _ALIGNED
  return room[start : start + size].view(dtype).reshape(rows, -1)


def _gather(vectors: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
  """Copies some rows into the first places of an array."""
  if vectors.dtype == out.dtype:
    np.take(vectors, rows, axis=0, out=out[: len(rows)], mode="clip")
  else:
    out[: len(rows)] = vectors[rows]


@jax.jit
def _nearest(
  points: Float[jax.Array, "S D"], centroids: Float[jax.Array, "k D"]
) -> Int[jax.Array, " S"]:
  """Numbers of the nearest centroids, whose mean is first moved to 0."""
  centre = centroids.mean(0)
  points = points.astype(jnp.float32) - centre
  centroids = centroids - centre
  products = jnp.einsum("sd,kd->sk", points, centroids, precision="highest")
  squares = jnp.square(centroids).sum(-1)
  return (squares - 2 * products).argmin(-1)
