"""Hard negatives of real questions: near their passage, and not it."""

import functools
from pathlib import Path

import numpy as np
import pytest

from genret.core import text
from genret.core.errors import ConfigError
from genret.stages import hard_negatives
from genret.stages.hard_negatives import HardNegatives
from genret.tasks import pairs as pairs_of
from genret.tasks.documents import Documents
from genret.tasks.pairs import Pairs
from genret.tasks.retrieval import LabelledQueries
from genret.tasks.stream import Ingredient

CONFIG = HardNegatives(depth=5)


@pytest.fixture(scope="module")
def pairs(collection):
  examples = LabelledQueries(rate=1.0).examples(
    collection, text.vocabulary("t5"), input_length=64
  )
  return Pairs(
    ingredients=[Ingredient(examples=examples, first_place=1)],
    documents=Documents.read(collection, vocabulary="t5", length=32),
  )


@pytest.fixture(scope="module")
def mined(pairs, collection, tmp_path_factory):
  folder = tmp_path_factory.mktemp("mined") / "negatives"
  return hard_negatives.mined(
    CONFIG, pairs, collection, vocabulary="t5", folder=folder
  )


def test_no_negative_is_an_answer(pairs, mined):
  assert mined.shape == (pairs.num_examples, 5)
  rows = pairs_of.document_rows(pairs)
  known = pairs.known(np.arange(len(rows)), rows)
  for found, right in zip(np.asarray(mined), known, strict=True):
    found = found[found >= 0]
    assert not np.isin(pairs.documents.numbers[found], right).any()
    assert len(set(found.tolist())) == len(found)
  assert (mined[:, 0] >= 0).mean() > 0.9


def test_they_share_words_with_the_text(pairs, mined, collection):
  documents = [d.contents.lower() for d in collection.documents()]
  decode = text.vocabulary("t5").decode
  shared = [
    any(word in documents[row[0]] for word in decode(ids).lower().split())
    for ids, row in zip(pairs_of.texts(pairs), mined, strict=True)
    if row[0] >= 0
  ]
  assert np.mean(shared) > 0.99


def test_what_was_mined_stands(mined):
  folder = Path(mined.filename).parent
  again = hard_negatives.mined(
    CONFIG, None, None, vocabulary="t5", folder=folder
  )
  np.testing.assert_array_equal(again, mined)


def test_a_bar_that_is_off_changes_nothing(
  pairs, mined, collection, tmp_path, monkeypatch
):
  """As with TQDM_DISABLE=1, which tqdm reads when it is imported."""
  silent = functools.partial(hard_negatives.tqdm, disable=True)
  monkeypatch.setattr(hard_negatives, "tqdm", silent)
  monkeypatch.setattr(hard_negatives, "_TEXTS", 200)
  again = hard_negatives.mined(
    CONFIG, pairs, collection, vocabulary="t5", folder=tmp_path / "negatives"
  )
  np.testing.assert_array_equal(again, mined)


def test_more_drawn_than_mined_is_refused():
  with pytest.raises(ConfigError, match="count is 3 and depth is 2"):
    HardNegatives(count=3, depth=2)
