"""Many k-means problems of any sizes as one compiled program.

The points of all groups stand end to end in one array, each group padded to
whole blocks of rows, so that a block belongs to one group. However uneven the
groups are, little is computed in vain, and one shape serves for all: to
compile a program for each of several sizes takes longer than to solve them.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

_TOLERANCE = 1e-4


class Pack(NamedTuple):
  """Groups of points, in blocks; a group's blocks are neighbours.

  Attributes:
    points: [M, b, D], float16 or float32; slots no group uses may hold
      anything finite.
    owner: the group of each block, ascending [M]. Blocks behind the last
      group belong to any, and their slots to none.
    first: the slot, of M x b, where each group begins [G].
    count: the points of each group [G]; 0 for groups that are not there.
  """

  points: Float[Array, "M b D"]
  owner: Int[Array, " M"]
  first: Int[Array, " G"]
  count: Int[Array, " G"]


class _Problem(NamedTuple):
  """A pack whose groups have their means at the origin."""

  pack: Pack
  used: Bool[Array, "M b"]  # whether a slot holds a point
  squares: Float[Array, "M b"]  # squared lengths
  members: Float[Array, "G M"] | None  # blocks of groups; None: add by index


class _State(NamedTuple):
  """Where Lloyd's iterations stand."""

  centroids: Float[Array, "G k D"]
  error: Float[Array, " G"]
  previous: Float[Array, " G"]
  empty: Bool[Array, " G"]
  step: Int[Array, ""]


@partial(jax.jit, static_argnames=("iterations", "by_index"))
def solve(
  pack: Pack,
  chances: Float[Array, "G k tries"],
  *,
  iterations: int,
  by_index: bool,
) -> tuple[Float[Array, "G k D"], Int[Array, "M b"]]:
  """Solves every group of a pack.

  Lloyd's iterations from a greedy k-means++ start. A group's end when its
  error falls by less than a ten-thousandth. One empty cluster of a group at
  a time takes the point that is farthest from its centroid.

  Args:
    pack: the groups.
    chances: uniform numbers in [0, 1), which decide all draws.
    iterations: the most iterations.
    by_index: adds up what belongs to a group by scattering, which is fast
      on a CPU, and else by a matrix product, which on a GPU keeps the order
      of additions, and so the result, the same each time.

  Returns:
    Centroids, and the number of each slot's nearest one.
  """
  problem, centres = _centred(pack, by_index)
  active = pack.count > 0

  def unfinished(state: _State) -> Bool[Array, " G"]:
    falling = state.error < (1 - _TOLERANCE) * state.previous
    return active & (falling | state.empty)

  def step(state: _State) -> _State:
    moved = _lloyd_step(problem, state)
    goes_on = unfinished(state)
    kept = [
      jnp.where(goes_on.reshape(-1, *[1] * (new.ndim - 1)), new, old)
      for new, old in zip(moved[:-1], state[:-1], strict=True)
    ]
    return _State(*kept, step=state.step + 1)

  def some_unfinished(state: _State) -> Bool[Array, ""]:
    return (state.step < iterations) & unfinished(state).any()

  infinite = jnp.full(len(pack.count), jnp.inf)
  start = _State(
    centroids=_starting_points(problem, chances),
    error=infinite,
    previous=infinite,
    empty=jnp.full(len(pack.count), True),
    step=jnp.array(0),
  )
  centroids = jax.lax.while_loop(some_unfinished, step, start).centroids
  labels = _distances(problem, centroids).argmin(-1)  # [M, b]
  return centroids + centres[:, None], labels


def _centred(
  pack: Pack, by_index: bool
) -> tuple[_Problem, Float[Array, "G D"]]:
  """Moves each group's mean to 0, which keeps float32 accurate."""
  slots = jnp.arange(pack.points.shape[0] * pack.points.shape[1])
  slots = slots.reshape(pack.points.shape[:2]) - pack.first[pack.owner][:, None]
  used = (slots >= 0) & (slots < pack.count[pack.owner][:, None])
  members = None
  if not by_index:
    members = jax.nn.one_hot(pack.owner, len(pack.count)).T  # [G, M]
  problem = _Problem(pack, used, jnp.zeros(used.shape), members)
  points = pack.points.astype(jnp.float32)
  sums = jnp.einsum(
    "mb,mbd->md", used.astype(jnp.float32), points, precision="highest"
  )
  sums = _by_group(problem, sums)  # [G, D]
  centres = sums / jnp.maximum(pack.count, 1)[:, None]
  points = jnp.where(used[..., None], points - centres[pack.owner][:, None], 0)
  squares = jnp.square(points).sum(-1)
  pack = pack._replace(points=points)
  return problem._replace(pack=pack, squares=squares), centres


def _lloyd_step(problem: _Problem, state: _State) -> _State:
  """Assigns points, then moves each centroid to the mean of its own."""
  pack, used = problem.pack, problem.used
  distances = _distances(problem, state.centroids)  # [M, b, k]
  labels = distances.argmin(-1)
  nearest = jnp.where(used, distances.min(-1), 0.0)
  members = jax.nn.one_hot(labels, state.centroids.shape[1])
  members *= used[..., None]
  sums = jnp.einsum("mbk,mbd->mkd", members, pack.points, precision="highest")
  sums = _by_group(problem, sums)  # [G, k, D]
  counts = _by_group(problem, members.sum(1))  # [G, k]
  means = sums / jnp.maximum(counts, 1.0)[..., None]
  centroids = jnp.where(counts[..., None] > 0, means, state.centroids)
  farthest = _farthest(problem, nearest)  # [G]
  groups, holes = jnp.arange(len(counts)), counts.argmin(-1)
  empty = counts.min(-1) == 0
  empty &= nearest.reshape(-1)[farthest] > 0
  moved = centroids.at[groups, holes].set(_points_at(pack, farthest))
  return _State(
    centroids=jnp.where(empty[:, None, None], moved, centroids),
    error=_by_group(problem, nearest.sum(1)),
    previous=state.error,
    empty=empty,
    step=state.step,
  )


def _starting_points(
  problem: _Problem, chances: Float[Array, "G k tries"]
) -> Float[Array, "G k D"]:
  """Draws k points a group by greedy k-means++."""
  owner = problem.pack.owner

  def add(nearest: Float[Array, "M b"], chances: Float[Array, "G tries"]):
    drawn = _draw(problem, nearest, chances)  # [G, tries]
    candidates = _points_at(problem.pack, drawn)
    closer = _distances(problem, candidates)  # [M, b, tries]
    closer = jnp.minimum(nearest[..., None], closer)
    errors = _by_group(problem, closer.sum(1))  # [G, tries]
    best = errors.argmin(-1)
    chosen = best[owner][:, None, None]
    nearest = jnp.take_along_axis(closer, chosen, -1)[..., 0]
    return nearest, candidates[jnp.arange(len(best)), best]

  ones = problem.used.astype(jnp.float32)
  first = _draw(problem, ones, chances[:, 0, :1])
  first = _points_at(problem.pack, first)  # [G, 1, D]
  nearest = _distances(problem, first)[..., 0] * ones
  _, others = jax.lax.scan(add, nearest, chances[:, 1:].swapaxes(0, 1))
  return jnp.concatenate([first, others.swapaxes(0, 1)], 1)


def _points_at(
  pack: Pack, slots: Int[Array, "*shape"]
) -> Float[Array, "*shape D"]:
  """Looks slots up; in one shape, or XLA would make the points once more."""
  return pack.points[jnp.divmod(slots, pack.points.shape[1])]


def _draw(
  problem: _Problem,
  mass: Float[Array, "M b"],
  chances: Float[Array, "G tries"],
) -> Int[Array, "G tries"]:
  """Draws slots of each group with probability proportional to their mass.

  Masses are added up from each group's own first block, so that a draw does
  not depend on the groups before.
  """
  pack = problem.pack
  blocks, rows = mass.shape
  within = mass @ jnp.triu(jnp.ones((rows, rows)))  # [M, b]
  before = jnp.tri(blocks, k=-1) * (pack.owner[:, None] == pack.owner)
  within += (before @ within[:, -1])[:, None]
  total = _by_group(problem, mass.sum(1))  # [G]
  targets = (chances * total[:, None])[pack.owner]  # [M, tries]
  passed = within[..., None] <= targets[:, None]
  passed = (passed & problem.used[..., None]).sum(1)  # [M, tries]
  passed = _by_group(problem, passed.astype(jnp.float32)).astype(jnp.int32)
  last = jnp.maximum(pack.count - 1, 0)[:, None]
  return pack.first[:, None] + jnp.minimum(passed, last)


def _farthest(
  problem: _Problem, nearest: Float[Array, "M b"]
) -> Int[Array, " G"]:
  """Finds each group's slot of the greatest distance."""
  owner, groups = problem.pack.owner, len(problem.pack.count)
  greatest = nearest.max(1)
  blocks = jnp.arange(len(owner))
  of_group = jax.ops.segment_max(greatest, owner, groups)
  blocks = jnp.where(greatest == of_group[owner], blocks, len(owner) - 1)
  block = jax.ops.segment_min(blocks, owner, groups)
  block = jnp.clip(block, 0, len(owner) - 1)
  return block * nearest.shape[1] + nearest.argmax(1)[block]


def _by_group(
  problem: _Problem, values: Float[Array, "M ..."]
) -> Float[Array, "G ..."]:
  """Adds up what the blocks of each group have."""
  owner, groups = problem.pack.owner, len(problem.pack.count)
  if problem.members is None:
    return jax.ops.segment_sum(values, owner, groups, indices_are_sorted=True)
  flat = values.reshape(len(values), -1)
  sums = jnp.dot(problem.members, flat, precision="highest")
  return sums.reshape(groups, *values.shape[1:])


def _distances(
  problem: _Problem, centroids: Float[Array, "G k D"]
) -> Float[Array, "M b k"]:
  """Squared distances to a group's own centroids, never below zero."""
  own = centroids[problem.pack.owner]  # [M, k, D]
  products = jnp.einsum(
    "mbd,mkd->mbk", problem.pack.points, own, precision="highest"
  )
  squares = jnp.square(centroids).sum(-1)[problem.pack.owner]  # [M, k]
  squares = problem.squares[..., None] + squares[:, None]
  return jnp.maximum(squares - 2 * products, 0.0)
