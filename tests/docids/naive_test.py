import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.docids import naive
from genret.docids.corpus import Listed

SCHEMES = [naive.fit, naive.fit_sequential]


def numbers(table):
  """Reads the digits back."""
  return [int("".join(str(c - 2) for c in row)) for row in table.codes]


def test_sequential_counts_with_leading_zeros():
  table = naive.fit_sequential(Listed.named(f"d{i}" for i in range(101)))
  assert table.codes[7].tolist() == [2, 2, 9]
  assert table.codes[100].tolist() == [3, 2, 2]
  assert table.vocab_size == 12
  assert not table.has_eos
  assert table.scheme == "sequential"


@given(st.integers(1, 1200), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_naive_is_a_permutation_of_fixed_width(count, seed):
  table = naive.fit(Listed.named(map(str, range(count))), seed=seed)
  assert table.length == len(str(count - 1))
  assert sorted(numbers(table)) == list(range(count))


def test_naive_follows_its_seed_and_not_the_corpus():
  corpus = Listed.named(map(str, range(50)))
  first, again, other = (naive.fit(corpus, seed=s) for s in (1, 1, 2))
  np.testing.assert_array_equal(first.codes, again.codes)
  assert (first.codes != other.codes).any()
  assert numbers(first) != sorted(numbers(first))


@pytest.mark.parametrize("fit", SCHEMES)
def test_a_single_document_has_one_digit(fit):
  assert fit(Listed.named(["only"])).codes.tolist() == [[2]]


def test_what_a_seed_gives_stays_what_it_was():
  """Tables made by earlier versions are not to change."""
  table = naive.fit(Listed.named("abcdefghijkl"), seed=3)
  assert numbers(table) == [11, 7, 2, 10, 0, 1, 4, 6, 9, 5, 3, 8]
