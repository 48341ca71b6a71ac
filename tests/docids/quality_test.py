import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.docid_table import DocidTable
from genret.docids import quality


def table(codes, vocab_size=10):
  codes = np.asarray(codes)
  docnos = [f"d{i}" for i in range(len(codes))]
  return DocidTable(
    codes=codes, docnos=docnos, vocab_size=vocab_size, scheme="by hand"
  )


BY_HAND = table(
  [[3, 2, 0], [2, 2, 2], [2, 3, 2], [2, 2, 4], [3, 2, 0], [2, 3, 3]]
)


def test_figures_by_hand():
  found = quality.describe(BY_HAND)
  assert found.num_documents == 6
  assert found.uniqueness == pytest.approx(5 / 6)
  assert found.collisions == 2
  assert found.depth == quality.Spread(least=2, mean=16 / 6, largest=3)
  assert found.leaves == quality.Spread(least=2, mean=2.0, largest=2)
  assert [level.nodes for level in found.levels] == [1, 2, 2]
  assert [level.mean_branching for level in found.levels] == [2, 1.5, 2]
  assert [level.max_branching for level in found.levels] == [2, 2, 2]
  thirds = -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)) / np.log(2)
  assert found.levels[0].balance == pytest.approx(thirds)
  assert found.levels[1].balance == pytest.approx(1.0)
  assert [level.symbols for level in found.levels] == [2, 2, 3]
  assert found.levels[0].entropy == pytest.approx(thirds)
  assert found.levels[1].entropy == pytest.approx(thirds)
  # Of four documents two end with 2, one with 3 and one with 4.
  assert found.levels[2].entropy == pytest.approx(1.5)
  assert found.similarity is None


def test_a_single_docid_has_figures_too():
  found = quality.describe(table([[4]]))
  assert found.uniqueness == 1
  assert found.levels == (
    quality.Level(
      nodes=1,
      mean_branching=1,
      max_branching=1,
      balance=1.0,
      entropy=0.0,
      symbols=1,
    ),
  )


def test_the_table_says_it_all():
  text = str(quality.describe(BY_HAND))
  assert "0.8333 (2 documents share a docid)" in text
  assert "2 / 2.67 / 3" in text
  assert "longest path         3" in text
  assert len(text.splitlines()) == 8 + 3


codes = st.lists(
  st.lists(st.integers(2, 4), min_size=1, max_size=4), min_size=1, max_size=25
)


@pytest.mark.parametrize("block", [1, 4, 1 << 20])
@given(rows=codes)
@settings(max_examples=30, deadline=None)
def test_figures_equal_those_of_sets_of_prefixes(rows, block):
  ended = [[*row, 1] for row in rows]  # EOS keeps docids prefix-free
  width = max(map(len, ended))
  made = table([row + [0] * (width - len(row)) for row in ended])
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(quality, "_BLOCK", block)
    found = quality.describe(made)
  docids = {tuple(row) for row in ended}
  assert found.uniqueness == pytest.approx(len(docids) / len(ended))
  assert found.depth.largest == width
  for number, level in enumerate(found.levels):
    nodes = {d[:number] for d in docids if len(d) > number}
    children = {d[: number + 1] for d in docids if len(d) > number}
    branching = [sum(c[:-1] == n for c in children) for n in nodes]
    assert level.nodes == len(nodes)
    assert level.max_branching == max(branching)
    assert level.mean_branching == pytest.approx(np.mean(branching))
  leaves = [tuple(row[:-1]) for row in ended]
  assert found.leaves.largest == max(leaves.count(leaf) for leaf in leaves)
  assert found.leaves.mean == pytest.approx(len(leaves) / len(set(leaves)))


def test_documents_share_no_symbols_behind_the_end_of_their_docids():
  east, north = [1.0, 0.0], [0.0, 2.0]
  vectors = np.array([east, north, east, east], np.float32)
  docids = table([[2, 1, 0, 0], [2, 1, 0, 0], [3, 2, 4, 1], [3, 2, 5, 1]])
  means = quality.similarity_by_prefix(docids, vectors, pairs=4000)
  # Two of the four that share (2, EOS) or (3, 2) are at right angles; only
  # the pairs (2, EOS) and (3, 2) go that far, and none shares a third symbol.
  assert means[1:] == pytest.approx([0.5, 0.5], abs=0.05)
  alike = table([[2, 1, 0, 0], [2, 1, 0, 0], [3, 2, 4, 1], [3, 2, 4, 1]])
  means = quality.similarity_by_prefix(alike, vectors, pairs=4000)
  assert means[1:3] == pytest.approx([0.5, 0.5], abs=0.05)
  assert means[3:] == pytest.approx([1.0, 1.0])  # of (3, 2, 4, EOS) alone


def test_similarity_rises_along_shared_prefixes():
  east, north = [1.0, 0.0], [0.0, 2.0]
  vectors = np.array([east, east, north, north], np.float32)
  docids = table([[2, 2], [2, 3], [3, 2], [3, 2]])
  means = quality.similarity_by_prefix(docids, vectors, pairs=3000)
  assert means[0] == pytest.approx(1 / 3, abs=0.05)
  assert means[1:] == pytest.approx([1.0, 1.0])
  again = quality.similarity_by_prefix(docids, vectors, pairs=3000)
  assert means == again
  found = quality.describe(docids, vectors)
  assert found.similarity[1:] == pytest.approx((1.0, 1.0))
  assert str(found).splitlines()[-1].split() == ["2", "1.000"]
