import numpy as np
import pytest

from genret.docids import kmeans
from genret.embeddings import store

K = 3  # with 2 dimensions, as elsewhere in this room: few programs compile
CORNERS = 10.0 * np.array([[1, 1], [1, -1], [-1, 0]], np.float32)


def blobs(count, seed=0, offset=0.0):
  """Draws points around the corners of a triangle; returns them and labels."""
  random = np.random.default_rng(seed)
  labels = random.integers(0, K, count)
  noise = random.normal(size=(count, 2)).astype(np.float32)
  return CORNERS[labels] + noise + np.float32(offset), labels


def fit(points, seed=0, k=K):
  [found] = kmeans.fit(points, [np.arange(len(points))], k=k, seeds=[seed])
  return found


def same_partition(one, other):
  pairs = set(zip(one.tolist(), other.tolist(), strict=True))
  return len(pairs) == len(set(one.tolist())) == len(set(other.tolist()))


@pytest.mark.parametrize("count", [20, 300])
@pytest.mark.parametrize("seed", range(5))
def test_clear_clusters_are_found(count, seed):
  points, truth = blobs(count, seed)
  found = fit(points, seed)
  assert same_partition(found.labels, truth)
  for i in range(K):
    mean = points[found.labels == i].mean(0)
    np.testing.assert_allclose(found.centroids[i], mean, atol=1e-4)


def test_points_far_from_the_origin_lose_no_accuracy():
  points, truth = blobs(200, offset=1e5)
  assert same_partition(fit(points).labels, truth)


def test_error_is_that_of_scikit_learn():
  cluster = pytest.importorskip(
    "sklearn.cluster", reason="scikit-learn comes with genret[bench]"
  )
  file = store.resources.files("genret") / "data" / "squad" / "embeddings.npy"
  points = np.load(str(file))[:1500].astype(np.float32)
  rows = np.arange(len(points))
  ours = [
    kmeans.within_cluster_error(points, rows, fit(points, s, k=10).centroids)
    for s in range(4)
  ]
  theirs = [
    cluster.KMeans(10, n_init=1, random_state=s).fit(points).inertia_
    for s in range(4)
  ]
  assert np.mean(ours) <= 1.01 * np.mean(theirs)
  assert max(ours) <= 1.03 * min(theirs)


def test_many_groups_are_as_if_alone():
  points, _ = blobs(400)
  groups = [np.arange(0, 300), np.arange(300, 320), np.arange(0, 400, 2)]
  together = kmeans.fit(points, groups, k=K, seeds=[5, 6, 7])
  for rows, seed, found in zip(groups, [5, 6, 7], together, strict=True):
    [alone] = kmeans.fit(points, [rows], k=K, seeds=[seed])
    np.testing.assert_array_equal(found.labels, alone.labels)
    np.testing.assert_allclose(found.centroids, alone.centroids, atol=1e-5)


def test_groups_larger_than_a_pack_and_half_precision(monkeypatch):
  points, truth = blobs(900)
  monkeypatch.setattr(kmeans, "_ROWS_AT_ONCE", 256)
  groups = [np.arange(900), np.arange(0, 900, 9), np.arange(70)]
  found = kmeans.fit(points.astype(np.float16), groups, k=K, seeds=[1, 2, 3])
  for rows, one in zip(groups, found, strict=True):
    assert same_partition(one.labels, truth[rows])


def test_one_seed_gives_one_result():
  points = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
  first, again = fit(points, 3), fit(points, 3)
  np.testing.assert_array_equal(first.centroids, again.centroids)
  assert (fit(points, 4).labels != first.labels).any()


def test_no_cluster_stays_empty_while_points_lie_apart():
  points = np.repeat(CORNERS, [500, 1, 1], axis=0)
  assert len(np.unique(fit(points).labels)) == 3


def test_fewer_distinct_points_than_clusters():
  points = np.repeat(CORNERS[:2], 20, axis=0)
  found = fit(points)
  assert len(np.unique(found.labels)) == 2
  assert np.isfinite(found.centroids).all()


def test_identical_points_are_one_cluster():
  found = fit(np.full((50, 2), 0.1, np.float32))
  assert len(np.unique(found.labels)) == 1


def test_labels_of_a_fit_are_those_of_an_assignment():
  points, _ = blobs(300)
  found = fit(points)
  labels = kmeans.assign(points, np.arange(300), found.centroids)
  np.testing.assert_array_equal(labels, found.labels)


def test_blocks_of_an_assignment_join():
  points, _ = blobs(40_000)
  rows = np.arange(40_000)[::-1]
  labels = kmeans.assign(points.astype(np.float16), rows, CORNERS)
  apart = points[rows][:, None].astype(np.float16) - CORNERS
  expected = np.square(apart, dtype=np.float32).sum(-1).argmin(1)
  np.testing.assert_array_equal(labels, expected)


def test_within_cluster_error_by_hand():
  points = np.array([[0, 5], [2, 5], [10, 5]], np.float32)
  centroids = np.array([[1, 5], [10, 5], [50, 5]], np.float32)
  assert kmeans.within_cluster_error(points, np.arange(3), centroids) == 2.0
