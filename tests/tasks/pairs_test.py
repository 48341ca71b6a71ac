"""Pairs of several tasks: which example a token is of, what is right."""

import numpy as np
import pytest

from genret.tasks import pairs as pairs_of
from genret.tasks.documents import Documents
from genret.tasks.examples import Examples
from genret.tasks.pairs import Pairs
from genret.tasks.stream import Ingredient


def examples(rows):
  return Examples.collect(rows, input_length=8)


@pytest.fixture(scope="module")
def pairs():
  """Documents 1 and 3 read the same; the text [9] has three answers."""
  texts = [[5], [6, 6], [7], [6, 6], [8]]
  first = examples([(0, [9]), (1, [4, 4]), (2, [9])])
  second = examples([(4, [9]), (3, [4, 4]), (3, [3])])
  return Pairs(
    ingredients=[
      Ingredient(examples=first, first_place=1),
      Ingredient(examples=second, first_place=1 + len(first.tokens)),
    ],
    documents=Documents.of(examples(list(enumerate(texts))), 5),
  )


def test_a_place_says_which_example(pairs):
  assert pairs.num_examples == 6
  places, expected = [], []
  for number, one in enumerate(pairs_of.texts(pairs)):
    places += range(len(places) + 1, len(places) + 1 + len(one))
    expected += [number] * len(one)
  np.testing.assert_array_equal(pairs.find(np.array(places)), expected)


def test_all_documents_of_a_text_are_known_in_any_task(pairs):
  rows = pairs_of.document_rows(pairs)
  assert rows.tolist() == [0, 1, 2, 4, 3, 3]
  numbers = pairs.documents.numbers
  found = pairs.known(np.arange(6), rows)
  expected = [{0, 2, 4}, {1}, {0, 2, 4}, {0, 2, 4}, {1}, {3}]
  for row, right in zip(found, expected, strict=True):
    assert set(row.tolist()) - {-1} == {int(numbers[r]) for r in right}
  np.testing.assert_array_equal(found[:, 0], numbers[rows])


def test_where_texts_have_one_answer_nothing_is_kept(pairs):
  one = Pairs(
    ingredients=[Ingredient(examples=examples([(0, [9])]), first_place=1)],
    documents=pairs.documents,
  )
  known = one.known(np.array([0]), np.array([0]))
  assert known.tolist() == [[pairs.documents.numbers[0]]]
