import numpy as np

from genret.interop import leaves
from genret.interop.leaves import Leaf


def test_a_change_happens_when_it_is_read():
  asked = []
  leaf = Leaf(
    shape=(2, 3),
    dtype=np.dtype("float32"),
    read=lambda: asked.append(1) or np.arange(6, dtype="f4").reshape(2, 3),
  )
  turned = leaf.changed((3, 2), np.transpose)
  assert not asked
  assert turned.read().tolist() == [[0, 3], [1, 4], [2, 5]]
  assert turned.read().flags.c_contiguous
  assert turned.num_bytes == 24


def test_below_undoes_under():
  tree = {"a/b": Leaf.of(1.0), "ab": Leaf.of(2.0)}
  moved = leaves.under(tree, "target")
  assert leaves.below(moved | {"targets/x": Leaf.of(0)}, "target") == tree
