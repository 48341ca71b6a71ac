"""Queries that are a document's own words."""

import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document
from genret.stages import ladder, own_words
from genret.stages.ladder import LadderConfig

TEXTS = {
  "wren": "A bird. It sings very loudly indeed. It hides in low hedges.",
  "finch": "It sings very loudly indeed. Its beak cracks hard seeds.",
  "swift": "It sings very loudly indeed.",
}


@pytest.fixture
def birds(tmp_path):
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "birds"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(tmp_path / "birds", recipe) as folder:
    collection.write(
      folder,
      documents=[
        Document(docno=d, title="Bird" * (d != "wren"), text=text)
        for d, text in TEXTS.items()
      ],
      queries=[collection.Query(query_id="q", text="who hides")],
      qrels={"test": {"q": {"wren": 1}}},
    )
  return Collection.open(tmp_path / "birds")


def test_the_first_sentence_that_no_other_document_has(birds):
  found = dict(own_words.queries(birds, TEXTS, words="sentences"))
  assert {docno: query.text for docno, query in found.items()} == {
    "wren": "It hides in low hedges.",
    "finch": "Its beak cracks hard seeds.",
  }
  assert found["wren"].query_id == "sentences:wren"


def test_a_title_that_others_have_is_none(birds):
  assert not dict(own_words.queries(birds, TEXTS, words="titles"))


def test_a_document_has_the_same_on_every_rung(birds, tmp_path):
  config = LadderConfig(rungs=[1])
  [rung] = ladder.run(config, birds, tmp_path / "ladder").rungs
  found = dict(own_words.queries(rung, ["wren"], words="sentences"))
  assert found["wren"].text == "It hides in low hedges."
