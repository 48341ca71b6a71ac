import numpy as np
import pytest

from genret.docids import lloyd

BLOCK = 4


def pack_of(groups, *, blocks, room, fill=0.0):
  """Lays groups of points out as `kmeans` does, `fill` in the free slots."""
  points = np.full((blocks * BLOCK, 2), fill, np.float32)
  owner = np.full(blocks, len(groups) - 1, np.int32)
  first, count = np.zeros((2, room), np.int32)
  slot = 0
  for i, group in enumerate(groups):
    first[i], count[i] = slot, len(group)
    points[slot : slot + len(group)] = group
    end = -(-(slot + len(group)) // BLOCK)
    owner[slot // BLOCK : end] = i
    slot = end * BLOCK
  return lloyd.Pack(points.reshape(blocks, BLOCK, 2), owner, first, count)


def groups_of(*sizes, seed=0):
  random = np.random.default_rng(seed)
  return [random.normal(size=(n, 2)).astype(np.float32) for n in sizes]


def solve(pack, k=3, iterations=20, by_index=True):
  chances = np.random.default_rng(7).random((len(pack.count), k, 2))
  found = lloyd.solve(
    pack, chances.astype(np.float32), iterations=iterations, by_index=by_index
  )
  centroids, labels = map(np.asarray, found)
  labels = labels.reshape(-1)
  spans = zip(pack.first, pack.count, strict=True)
  return centroids, [labels[first : first + n] for first, n in spans]


GROUPS = groups_of(9, 4, 13)


def test_centroids_are_the_means_of_what_is_nearest_to_them():
  centroids, labels = solve(pack_of(GROUPS, blocks=10, room=5))
  for group, found, own in zip(GROUPS, labels, centroids, strict=False):
    apart = np.square(group[:, None] - own).sum(-1)
    np.testing.assert_array_equal(found, apart.argmin(1))
    for i in range(3):
      np.testing.assert_allclose(own[i], group[found == i].mean(0), atol=1e-5)
  assert [len(found) for found in labels] == [9, 4, 13, 0, 0]


@pytest.mark.parametrize("fill", [0.0, 100.0])
def test_free_slots_and_free_groups_change_nothing(fill):
  one = solve(pack_of(GROUPS, blocks=10, room=5, fill=fill))
  other = solve(pack_of(GROUPS, blocks=10, room=5))
  for found, expected in zip(one[1], other[1], strict=True):
    np.testing.assert_array_equal(found, expected)
  np.testing.assert_array_equal(one[0][:3], other[0][:3])


def test_scattering_and_products_add_up_the_same():
  pack = pack_of(GROUPS, blocks=10, room=5)
  one, other = solve(pack), solve(pack, by_index=False)
  for found, expected in zip(one[1], other[1], strict=True):
    np.testing.assert_array_equal(found, expected)
  np.testing.assert_allclose(one[0][:3], other[0][:3], atol=1e-5)


def test_one_iteration_is_not_the_end():
  groups = groups_of(40, seed=3)
  pack = pack_of(groups, blocks=10, room=5)
  errors = []
  for iterations in (1, 3, 20):
    centroids, _ = solve(pack, iterations=iterations)
    apart = np.square(groups[0][:, None] - centroids[0]).sum(-1)
    errors.append(apart.min(1).sum())
  assert errors[0] > errors[1] >= errors[2]


def test_a_hole_takes_the_farthest_point():
  group = np.repeat([[0, 0], [9, 0], [0, 9]], [30, 1, 1], axis=0)
  _, labels = solve(pack_of([group.astype(np.float32)], blocks=10, room=5))
  assert len(np.unique(labels[0])) == 3
  assert len(np.unique(labels[0][:30])) == 1
