"""A retriever that has learned nothing."""

import jax
import numpy as np

from genret.core.docid_table import DocidTable
from genret.retrieval.untrained import untrained

TABLE = DocidTable(
  codes=np.array([[2, 4], [2, 5], [3, 4]]),
  docnos=["a", "b", "c"],
  vocab_size=6,
  scheme="example",
)


def test_the_seed_decides_the_parameters():
  def leaves(seed):
    return jax.tree.leaves(untrained(TABLE, seed=seed)._stepper.params)

  one, again, other = leaves(1), leaves(1), leaves(2)
  assert all((a == b).all() for a, b in zip(one, again, strict=True))
  assert any((a != b).any() for a, b in zip(one, other, strict=True))


def test_the_shape_may_be_given():
  retriever = untrained(TABLE, mlp_dim=8, scoring="renormalised")
  assert retriever.spec.model.mlp_dim == 8
  assert retriever.spec.model.docid_vocab_size == 6
  assert retriever.spec.scoring == "renormalised"
