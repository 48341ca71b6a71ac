"""Hierarchical k-means: documents as the leaves of a tree of clusters."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from genret.core.errors import ConfigError
from genret.docids import kmeans

_AT_ONCE = 1024  # clusters whose centroids are held in memory together


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
    sample: documents that the centroids of a larger cluster come from.
    seed: of the starts, the samples and the even splits.
  """

  k: int = 10
  leaf_size: int = 100
  max_depth: int = 16
  sample: int = 100_000
  seed: int = 0

  def __post_init__(self):
    least = {"k": 2, "leaf_size": 1, "max_depth": 1, "sample": self.k}
    for name, bound in least.items():
      if getattr(self, name) < bound:
        raise ConfigError(
          f"{name} must be at least {bound}, not {getattr(self, name)}."
        )

  def capacity(self, depth: int) -> int:
    """The most documents that fit below a cluster at some depth."""
    return self.leaf_size * self.k ** (self.max_depth - depth)


def leaves(vectors: np.ndarray, hierarchy: Hierarchy) -> list[Leaf]:
  """Splits documents into clusters, level by level.

  A cluster of more than `leaf_size` documents is split by k-means; empty
  parts are left out and the others numbered without gaps. Where k-means
  leaves a cluster whole, as identical vectors do, or would leave a part too
  large for the levels that remain, the cluster is split evenly in a seeded
  random order instead.

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
  level = [Leaf(path=(), rows=np.arange(total))]
  done: list[Leaf] = []
  while level:
    done += [node for node in level if len(node.rows) <= hierarchy.leaf_size]
    large = [node for node in level if len(node.rows) > hierarchy.leaf_size]
    level = []
    for start in range(0, len(large), _AT_ONCE):
      level += _split(vectors, large[start : start + _AT_ONCE], hierarchy)
  return sorted(done, key=lambda leaf: leaf.path)


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
  fitted = kmeans.fit(vectors, samples, k=hierarchy.k, seeds=seeds)
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
