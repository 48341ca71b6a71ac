"""Tokens of documents: those of their text, one row a document."""

import numpy as np
import pytest

from genret.core import text
from genret.core.collection import Document
from genret.core.errors import ConfigError
from genret.tasks.documents import Documents


@pytest.fixture(scope="module")
def collection(new_collection, tmp_path_factory):
  texts = ["A river flows.", "", "It spans the river.", "A river flows."]
  return new_collection(
    tmp_path_factory.mktemp("collections") / "rivers",
    documents=[
      Document(docno=f"d{i}", title="", text=one) for i, one in enumerate(texts)
    ],
    queries=[],
    qrels={},
  )


def test_rows_are_the_texts_cut_and_ended(collection):
  documents = Documents.read(collection, vocabulary="t5", length=4)
  vocabulary = text.vocabulary("t5")
  texts = [document.contents for document in collection.documents()]
  expected = vocabulary.encode(texts, max_length=4)
  rows = documents.padded(np.arange(4), 4)
  np.testing.assert_array_equal(rows, vocabulary.pad(expected, 4))
  lengths = documents.lengths(np.arange(4)).tolist()
  assert lengths == [len(row) for row in expected] and lengths[1] == 1
  assert documents.longest == 4 and documents.count == 4


def test_documents_that_read_the_same_have_one_number(collection):
  numbers = Documents.read(collection, vocabulary="t5", length=9).numbers
  assert numbers[0] == numbers[3]
  assert len(set(numbers.tolist())) == 3 and numbers.min() >= 0


def test_no_room_for_a_token_is_refused(collection):
  with pytest.raises(ConfigError, match="at least 2, markers included"):
    Documents.read(collection, vocabulary="t5", length=1)
