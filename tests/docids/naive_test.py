import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.docids import naive

BUILDERS = [naive.build, naive.build_sequential]


def numbers(table):
  """Reads the digits back."""
  return [int("".join(str(c - 2) for c in row)) for row in table.codes]


def test_sequential_counts_with_leading_zeros():
  table = naive.build_sequential([f"d{i}" for i in range(101)])
  assert table.codes[7].tolist() == [2, 2, 9]
  assert table.codes[100].tolist() == [3, 2, 2]
  assert table.vocab_size == 12
  assert not table.has_eos
  assert table.scheme == "sequential"


@given(st.integers(1, 1200), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_naive_is_a_permutation_of_fixed_width(count, seed):
  table = naive.build([str(i) for i in range(count)], seed=seed)
  assert table.length == len(str(count - 1))
  assert sorted(numbers(table)) == list(range(count))


def test_naive_follows_its_seed_and_not_the_corpus():
  docnos = [str(i) for i in range(50)]
  first, again, other = (naive.build(docnos, seed=s) for s in (1, 1, 2))
  np.testing.assert_array_equal(first.codes, again.codes)
  assert (first.codes != other.codes).any()
  assert numbers(first) != sorted(numbers(first))


@pytest.mark.parametrize("build", BUILDERS)
def test_a_single_document_has_one_digit(build):
  assert build(["only"]).codes.tolist() == [[2]]
