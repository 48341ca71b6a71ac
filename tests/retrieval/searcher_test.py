import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import UserError
from genret.retrieval.searcher import (
  best_rows,
  check_k,
  check_texts,
  hits,
  tie_order,
)


@given(
  st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=1, max_size=12),
  st.integers(1, 15),
  st.integers(0, 5),
)
@settings(deadline=None)
def test_best_rows_equals_sorting(scores, k, seed):
  ties = tie_order(len(scores), seed=seed)
  expected = sorted(range(len(scores)), key=lambda i: (-scores[i], ties[i]))
  found = best_rows(np.array(scores), k, ties)
  assert found.tolist() == expected[:k]


def test_tie_order_is_a_seeded_permutation():
  first = tie_order(100, seed=0)
  assert sorted(first.tolist()) == list(range(100))
  assert first.tolist() == tie_order(100, seed=0).tolist()
  assert first.tolist() != tie_order(100, seed=1).tolist()
  assert first.tolist() != list(range(100))


def test_hits_decrease_strictly_and_keep_their_order():
  rows = np.array([2, 0, 1])
  found = hits(rows, np.array([1.0, 1.0, 1.0]), ["a", "b", "c"])
  assert [hit.docno for hit in found] == ["c", "a", "b"]
  assert found[0].score > found[1].score > found[2].score
  assert hits(rows[:0], np.zeros(0), ["a"]) == []


@pytest.mark.parametrize("k", [0, -1])
def test_k_counts_from_one(k):
  with pytest.raises(UserError, match="from 1 on"):
    check_k(k)


def test_texts_are_whole():
  check_texts(["", "a\0b", "\U0001f600", "\ud7ff\ue000"])
  for half in ("\ud800", "a \udfff b"):
    with pytest.raises(UserError, match="Query 1 holds half"):
      check_texts(["é", half])
  with pytest.raises(UserError, match="Query 0 is no string; bytes came"):
    check_texts([b"a river"])
