import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import ConfigError
from genret.docids import hierarchy
from genret.docids.hierarchy import Hierarchy, leaves


def rows_of(tree):
  return sorted(row for leaf in tree for row in leaf.rows.tolist())


def on_a_line(places):
  """Puts points into the plane, which all tests here share."""
  places = np.asarray(places, np.float32)
  return np.stack([places, np.zeros_like(places)], axis=1)


def nested_points():
  """Four clusters of three each, in two far pairs."""
  centres = np.repeat([0.0, 10.0, 1000.0, 1010.0], 3)
  return on_a_line(centres + np.tile([0.0, 0.1, 0.2], 4))


def test_a_tree_by_hand():
  tree = leaves(nested_points(), Hierarchy(k=2, leaf_size=3))
  groups = {tuple(leaf.rows.tolist()) for leaf in tree}
  assert groups == {(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11)}
  assert [leaf.path for leaf in tree] == [(0, 0), (0, 1), (1, 0), (1, 1)]
  siblings = {tuple(leaf.rows.tolist()): leaf.path[0] for leaf in tree}
  assert siblings[0, 1, 2] == siblings[3, 4, 5]


def test_few_documents_are_one_leaf():
  [leaf] = leaves(nested_points(), Hierarchy(k=2, leaf_size=12))
  assert leaf.path == ()
  assert leaf.rows.tolist() == list(range(12))


@given(st.integers(1, 60), st.integers(1, 7), st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_every_document_is_in_one_leaf_of_bounded_size(count, size, seed):
  vectors = np.random.default_rng(seed).integers(0, 4, (count, 2))
  tree = leaves(
    vectors.astype(np.float32), Hierarchy(k=3, leaf_size=size, seed=seed)
  )
  assert rows_of(tree) == list(range(count))
  assert max(len(leaf.rows) for leaf in tree) <= size
  paths = [leaf.path for leaf in tree]
  assert paths == sorted(set(paths))
  for path, following in zip(paths, paths[1:], strict=False):
    assert following[: len(path)] != path


def test_branches_are_numbered_without_gaps():
  vectors = on_a_line(np.repeat([0.0, 5.0], 10))
  tree = leaves(vectors, Hierarchy(k=3, leaf_size=10))
  assert [leaf.path for leaf in tree] == [(0,), (1,)]


def test_identical_vectors_are_dealt_out_evenly():
  vectors = np.ones((70, 2), np.float32)
  tree = leaves(vectors, Hierarchy(k=3, leaf_size=10, seed=1))
  assert rows_of(tree) == list(range(70))
  assert {len(leaf.rows) for leaf in tree} <= {7, 8}
  assert {len(leaf.path) for leaf in tree} == {2}
  other = leaves(vectors, Hierarchy(k=3, leaf_size=10, seed=2))
  assert tree[0].rows.tolist() != other[0].rows.tolist()


def test_depth_is_capped_where_clusters_are_lopsided():
  vectors = on_a_line(4.0 ** np.arange(16))
  deep = leaves(vectors, Hierarchy(k=2, leaf_size=1))
  capped = leaves(vectors, Hierarchy(k=2, leaf_size=1, max_depth=5))
  assert max(len(leaf.path) for leaf in deep) > 5
  assert max(len(leaf.path) for leaf in capped) <= 5
  assert rows_of(capped) == list(range(16))


def test_more_documents_than_fit_are_refused():
  hierarchy = Hierarchy(k=2, leaf_size=1, max_depth=3)
  assert len(leaves(on_a_line(range(8)), hierarchy)) == 8
  with pytest.raises(ConfigError, match="max_depth=3"):
    leaves(on_a_line(range(9)), hierarchy)


def test_centroids_of_a_sample_sort_all_documents(tmp_path):
  random = np.random.default_rng(0)
  labels = random.integers(0, 3, 450)
  vectors = labels[:, None] * 100 + random.normal(size=(450, 2))
  np.save(tmp_path / "v.npy", vectors.astype(np.float16))
  mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
  tree = leaves(mapped, Hierarchy(k=3, leaf_size=200, sample=30))
  assert rows_of(tree) == list(range(450))
  assert sorted(len(leaf.rows) for leaf in tree) == sorted(np.bincount(labels))


def test_what_is_held_in_memory_changes_nothing(monkeypatch):
  vectors = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
  settings = Hierarchy(k=3, leaf_size=8, sample=100, seed=4)
  whole = leaves(vectors, settings)
  monkeypatch.setattr(hierarchy, "_IN_MEMORY", 120)
  parts = leaves(vectors, settings)
  assert [leaf.path for leaf in parts] == [leaf.path for leaf in whole]
  for one, other in zip(parts, whole, strict=True):
    np.testing.assert_array_equal(one.rows, other.rows)


def test_many_documents_get_fewer_iterations():
  assert Hierarchy().decided(2_000).iterations == 25
  assert Hierarchy().decided(2_000_000).iterations == 5
  assert Hierarchy(iterations=9).decided(2_000).iterations == 9


@pytest.mark.parametrize(
  "setting",
  [
    {"k": 1},
    {"leaf_size": 0},
    {"max_depth": 0},
    {"sample": 5},
    {"iterations": 0},
  ],
)
def test_sizes_that_cannot_be_are_refused(setting):
  [name] = setting
  with pytest.raises(ConfigError, match=name):
    Hierarchy(**setting)
