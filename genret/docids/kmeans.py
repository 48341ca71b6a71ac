"""K-means in JAX, compiled for few shapes.

Lloyd's iterations from a greedy k-means++ start (Arthur and Vassilvitskii,
2007): each new centre is the best of a few points drawn with probability
proportional to their squared distance from the centres so far. Many small
problems are padded to a few sizes with points of weight
zero, and solved together.
"""

import dataclasses
import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

_SMALLEST = 512
_ROWS_AT_ONCE = 1 << 14
_TOLERANCE = 1e-4


class _Problem(NamedTuple):
  """Points to cluster, their mean at the origin."""

  points: jax.Array  # [S, D]
  weights: jax.Array  # [S], 0 where a point only pads
  squares: jax.Array  # [S], squared lengths


class _State(NamedTuple):
  """Where Lloyd's iterations stand."""

  centroids: jax.Array  # [k, D]
  error: jax.Array
  previous: jax.Array
  empty: jax.Array
  step: jax.Array


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
  iterations: int = 25,
) -> list[Clustering]:
  """Clusters several groups of rows, each into k.

  Groups whose sizes round up to the same of a few are solved in one call
  of one compiled program.

  Args:
    vectors: [N, D], may be memory-mapped; only the groups' rows are read.
    groups: G arrays of row numbers.
    k: clusters a group.
    seeds: G whole numbers.
    iterations: the most Lloyd iterations; they end sooner when the error
      falls by less than a ten-thousandth.

  Returns:
    G clusterings, in the order of the groups.
  """
  done: dict[int, Clustering] = {}
  sizes = [_padded_size(len(rows)) for rows in groups]
  for size in sorted(set(sizes)):
    members = [i for i, other in enumerate(sizes) if other == size]
    at_once = max(1, _ROWS_AT_ONCE // size)
    for start in range(0, len(members), at_once):
      batch = members[start : start + at_once]
      points, weights = _padded(
        vectors, [groups[i] for i in batch], (at_once, size)
      )
      chances = np.zeros((at_once, k, _tries(k)), np.float32)
      for slot, i in enumerate(batch):
        random = np.random.default_rng(seeds[i])
        chances[slot] = random.random(chances.shape[1:], np.float32)
      out = _fit_batch(points, weights, chances, iterations=iterations)
      centroids, labels = map(np.asarray, out)
      for slot, i in enumerate(batch):
        done[i] = Clustering(
          centroids=centroids[slot], labels=labels[slot, : len(groups[i])]
        )
  return [done[i] for i in range(len(groups))]


def assign(
  vectors: np.ndarray, rows: np.ndarray, centroids: Float[np.ndarray, "k D"]
) -> Int[np.ndarray, " n"]:
  """Finds the nearest centroid of each row, a block at a time.

  Args:
    vectors: [N, D], may be memory-mapped; one block is in memory at a time.
    rows: the n row numbers to look at.
    centroids: as `fit` gives them.

  Returns:
    Numbers of centroids; the first of several equally near ones.
  """
  labels = np.empty(len(rows), np.int32)
  block = min(_ROWS_AT_ONCE, _padded_size(len(rows)))
  for start in range(0, len(rows), block):
    members = rows[start : start + block]
    points, _ = _padded(vectors, [members], (1, block))
    found = _nearest(points[0], centroids)
    labels[start : start + block] = np.asarray(found)[: len(members)]
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


def _padded_size(rows: int) -> int:
  """Rounds up to one of the few sizes that are compiled.

  >>> [_padded_size(n) for n in (3, 512, 513, 100_000)]
  [512, 512, 2048, 131072]
  """
  size = _SMALLEST
  while size < rows:
    size *= 4
  return size


def _tries(k: int) -> int:
  """Points that compete to be the next of k starting centres."""
  return 2 + int(math.log(k))


def _padded(
  vectors: np.ndarray, groups: Sequence[np.ndarray], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
  """Gathers groups of rows as points [G, S, D] and weights [G, S]."""
  points = np.zeros((*shape, vectors.shape[1]), np.float32)
  weights = np.zeros(shape, np.float32)
  for i, rows in enumerate(groups):
    points[i, : len(rows)] = vectors[rows]
    weights[i, : len(rows)] = 1.0
  return points, weights


@partial(jax.jit, static_argnames=("iterations",))
def _fit_batch(
  points: jax.Array,
  weights: jax.Array,
  chances: jax.Array,
  *,
  iterations: int,
) -> tuple[jax.Array, jax.Array]:
  """Solves G problems at once: centroids [G, k, D] and labels [G, S]."""
  fit_one = partial(_fit_one, iterations=iterations)
  return jax.vmap(fit_one)(points, weights, chances)


def _fit_one(
  points: Float[Array, "S D"],
  weights: Float[Array, " S"],
  chances: Float[Array, "k tries"],
  *,
  iterations: int,
) -> tuple[Float[Array, "k D"], Int[Array, " S"]]:
  """Solves one problem; centred first, which keeps float32 accurate."""
  total = jnp.maximum(weights.sum(), 1.0)
  centre = jnp.einsum("s,sd->d", weights, points, precision="highest") / total
  points = (points - centre) * weights[:, None]
  problem = _Problem(points, weights, jnp.square(points).sum(-1))

  def unfinished(state: _State) -> jax.Array:
    falling = state.error < (1 - _TOLERANCE) * state.previous
    return (state.step < iterations) & (falling | state.empty)

  start = _State(
    centroids=_starting_points(problem, chances),
    error=jnp.inf,
    previous=jnp.inf,
    empty=jnp.array(True),
    step=jnp.array(0),
  )
  step = partial(_lloyd_step, problem)
  centroids = jax.lax.while_loop(unfinished, step, start).centroids
  labels = _distances(problem, centroids).argmin(-1)
  return centroids + centre, labels


def _lloyd_step(problem: _Problem, state: _State) -> _State:
  """Assigns points, then moves each centroid to the mean of its own.

  One empty cluster a step takes the point that is farthest from its
  centroid, where any is apart from it.
  """
  points, weights, _ = problem
  distances = _distances(problem, state.centroids)  # [S, k]
  labels = distances.argmin(-1)
  nearest = distances.min(-1) * weights
  members = jax.nn.one_hot(labels, len(state.centroids)) * weights[:, None]
  counts = members.sum(0)
  sums = jnp.einsum("sk,sd->kd", members, points, precision="highest")
  means = sums / jnp.maximum(counts, 1.0)[:, None]
  centroids = jnp.where(counts[:, None] > 0, means, state.centroids)
  farthest, hole = nearest.argmax(), counts.argmin()
  empty = (counts[hole] == 0) & (nearest[farthest] > 0)
  moved = centroids.at[hole].set(points[farthest])
  return _State(
    centroids=jnp.where(empty, moved, centroids),
    error=nearest.sum(),
    previous=state.error,
    empty=empty,
    step=state.step + 1,
  )


def _starting_points(problem: _Problem, chances: jax.Array) -> jax.Array:
  """Draws k points by greedy k-means++."""
  points, weights, _ = problem

  def add(nearest: jax.Array, chances: jax.Array):
    drawn = _draw(nearest * weights, weights, chances)
    candidates = points[drawn]  # [tries, D]
    distances = _distances(problem, candidates)
    closer = jnp.minimum(nearest[:, None], distances)  # [S, tries]
    best = (closer * weights[:, None]).sum(0).argmin()
    return closer[:, best], candidates[best]

  first = points[_draw(weights, weights, chances[0, :1])]
  nearest = _distances(problem, first)[:, 0]
  _, others = jax.lax.scan(add, nearest, chances[1:])
  return jnp.concatenate([first, others])


def _draw(mass: jax.Array, weights: jax.Array, chances: jax.Array) -> jax.Array:
  """Draws real points with probability proportional to their mass."""
  cumulative = jnp.cumsum(mass)
  targets = chances * cumulative[-1]
  drawn = jnp.searchsorted(cumulative, targets, side="right")
  drawn = jnp.minimum(drawn, len(mass) - 1)
  return jnp.where(weights[drawn] > 0, drawn, mass.argmax())


def _distances(problem: _Problem, centroids: jax.Array) -> jax.Array:
  """Squared distances [S, k], never below zero."""
  products = jnp.einsum(
    "sd,kd->sk", problem.points, centroids, precision="highest"
  )
  squares = problem.squares[:, None] + jnp.square(centroids).sum(-1)
  return jnp.maximum(squares - 2 * products, 0.0)


@jax.jit
def _nearest(points: jax.Array, centroids: jax.Array) -> jax.Array:
  """Numbers of the nearest centroids, whose mean is first moved to 0."""
  centre = centroids.mean(0)
  points, centroids = points - centre, centroids - centre
  squares = jnp.square(points).sum(-1)
  problem = _Problem(points, jnp.ones_like(squares), squares)
  return _distances(problem, centroids).argmin(-1)
