"""Hierarchical k-means: documents as the leaves of a tree of clusters."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from genret.core.errors import ConfigError
from genret.docids import kmeans

_IN_MEMORY = 1 << 17  # rows whose vectors are read once for all their levels
_AT_ONCE = 1024  # clusters whose centroids are held in memory together
_SMALL = 1 << 14  # documents
_CAREFUL, _QUICK = 25, 5  # iterations for few documents, and for many


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Leaf:
  """A cluster that is not split further.

  Attributes:
    path: the number of the branch taken at each level from the root.
    rows: row numbers of its documents, ascending.
  """

  path: tuple[int, ...]
  rows: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hierarchy:
  """How documents are split.

  Attributes:
    k: clusters a level.
    leaf_size: the most documents of a cluster that is not split.
    max_depth: the most levels of clusters.
    sample: documents that the centroids of a larger cluster come from. Beside
      their vectors, starting points take 4 (sample / 64)² bytes for k up to
      16: 64 KiB as it is, 1 GiB for a million.
    iterations: the most of k-means at each split. None takes 25 for up to
      16,384 documents and 5 for more, where further ones change the error
      within the leaves by less than another seed does.
    seed: of the starts, the samples and the even splits.
  """

  k: int = 10
  leaf_size: int = 100
  max_depth: int = 16
  sample: int = 8_192
  iterations: int | None = None
  seed: int = 0

  def __post_init__(self):
    least = {"k": 2, "leaf_size": 1, "max_depth": 1, "sample": self.k}
    if self.iterations is not None:
      least["iterations"] = 1
    for name, bound in least.items():
      if getattr(self, name) < bound:
        raise ConfigError(
          f"{name} must be at least {bound}, not {getattr(self, name)}."
        )

  def capacity(self, depth: int) -> int:
    """The most documents that fit below a cluster at some depth."""
    return self.leaf_size * self.k ** (self.max_depth - depth)

  def decided(self, documents: int) -> "Hierarchy":
    """Returns the same with the iterations for so many documents."""
    if self.iterations is not None:
      return self
    iterations = _CAREFUL if documents <= _SMALL else _QUICK
    return dataclasses.replace(self, iterations=iterations)


def leaves(vectors: np.ndarray, hierarchy: Hierarchy) -> list[Leaf]:
  """Splits documents into clusters, level by level.

  A cluster of more than `leaf_size` documents is split by k-means; empty
  parts are left out and the others numbered without gaps. Where k-means
  leaves a cluster whole, as identical vectors do, or would leave a part too
  large for the levels that remain, the cluster is split evenly in a seeded
  random order instead.

  Clusters too large to hold are split one at a time from the file. Smaller
  ones are read once, a few side by side, and split to their leaves in
  memory: of millions of documents each is read some three times, whatever
  the depth. A bar counts the documents in leaves.

  Args:
    vectors: [N, D], may be memory-mapped.
    hierarchy: how to split.

  Returns:
    The leaves, by path. Each document is in one of them.

  Raises:
    ConfigError: N documents do not fit into max_depth levels.
  """
  total = len(vectors)
  if total > hierarchy.capacity(0):
    raise ConfigError(
      f"{total:,} documents do not fit into max_depth={hierarchy.max_depth}"
      f" levels of k={hierarchy.k} clusters with at most"
      f" leaf_size={hierarchy.leaf_size} documents each; raise one of them."
    )
  hierarchy = hierarchy.decided(total)
  done: list[Leaf] = []
  with tqdm(total=total, unit=" documents", desc="clusters", delay=2) as bar:
    for nodes in _shelves(vectors, hierarchy):
      done += _grown(vectors, nodes, hierarchy)
      bar.update(sum(len(node.rows) for node in nodes))
  return sorted(done, key=lambda leaf: leaf.path)


def _shelves(vectors: np.ndarray, hierarchy: Hierarchy) -> Iterator[list[Leaf]]:
  """Splits what is large; yields clusters that fit into memory together."""
  stack = [Leaf(path=(), rows=np.arange(len(vectors)))]
  shelf: list[Leaf] = []
  held = 0
  while stack:
    node = stack.pop()
    if len(node.rows) > max(_IN_MEMORY, hierarchy.leaf_size):
      stack += _split(vectors, [node], hierarchy)[::-1]
      continue
    if shelf and held + len(node.rows) > _IN_MEMORY:
      yield shelf
      shelf, held = [], 0
    shelf.append(node)
    held += len(node.rows)
  yield shelf


def _grown(
  vectors: np.ndarray, nodes: Sequence[Leaf], hierarchy: Hierarchy
) -> list[Leaf]:
  """Splits clusters down to their leaves; a file is read once."""
  if isinstance(vectors, np.memmap):
    rows = np.concatenate([node.rows for node in nodes])
    ends = np.cumsum([len(node.rows) for node in nodes])
    held = [
      Leaf(path=node.path, rows=np.arange(end - len(node.rows), end))
      for node, end in zip(nodes, ends, strict=True)
    ]
    return [
      Leaf(path=leaf.path, rows=rows[leaf.rows])
      for leaf in _grown(np.asarray(vectors[rows]), held, hierarchy)
    ]
  level = list(nodes)
  done: list[Leaf] = []
  while level:
    done += [node for node in level if len(node.rows) <= hierarchy.leaf_size]
    large = [node for node in level if len(node.rows) > hierarchy.leaf_size]
    level = []
    for start in range(0, len(large), _AT_ONCE):
      level += _split(vectors, large[start : start + _AT_ONCE], hierarchy)
  return done


def _split(
  vectors: np.ndarray, nodes: Sequence[Leaf], hierarchy: Hierarchy
) -> list[Leaf]:
  """Splits clusters of one level into those of the next."""
  randoms = [_random(hierarchy, node) for node in nodes]
  samples = [
    _sample(node.rows, hierarchy.sample, random)
    for node, random in zip(nodes, randoms, strict=True)
  ]
  seeds = [int(random.integers(1 << 31)) for random in randoms]
  fitted = kmeans.fit(
    vectors,
    samples,
    k=hierarchy.k,
    seeds=seeds,
    iterations=hierarchy.iterations,
  )
  children: list[Leaf] = []
  for node, found, random in zip(nodes, fitted, randoms, strict=True):
    labels = found.labels
    if len(labels) < len(node.rows):
      labels = kmeans.assign(vectors, node.rows, found.centroids)
    parts = [node.rows[labels == i] for i in range(hierarchy.k)]
    parts = [part for part in parts if len(part)]
    room = hierarchy.capacity(len(node.path) + 1)
    if len(parts) == 1 or max(map(len, parts)) > room:
      parts = _even_parts(node.rows, hierarchy.k, random)
    children += [
      Leaf(path=(*node.path, i), rows=part) for i, part in enumerate(parts)
    ]
  return children


def _random(hierarchy: Hierarchy, node: Leaf) -> np.random.Generator:
  """A source of randomness that depends on the cluster's place alone."""
  seeds = np.random.SeedSequence(hierarchy.seed, spawn_key=node.path)
  return np.random.default_rng(seeds)


def _sample(
  rows: np.ndarray, size: int, random: np.random.Generator
) -> np.ndarray:
  if len(rows) <= size:
    return rows
  return np.sort(random.choice(rows, size, replace=False))


def _even_parts(
  rows: np.ndarray, k: int, random: np.random.Generator
) -> list[np.ndarray]:
  """Deals rows out to k parts whose sizes differ by one at most."""
  parts = np.array_split(random.permutation(rows), min(k, len(rows)))
  return [np.sort(part) for part in parts]
