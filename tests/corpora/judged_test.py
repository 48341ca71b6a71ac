import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.core.errors import DataError
from genret.corpora import judged

QRELS = {
  "train": {"q2": {"d1": 1, "d0": 0}, "q0": {"d2": 2}},
  "dev": {},
}


def prepared(folder, qrels):
  recipe = artifacts.Recipe(
    stage=collection.STAGE, format_version=collection.FORMAT_VERSION
  )
  with artifacts.building(folder, recipe) as draft:
    collection.write(
      draft,
      documents=[Document(docno=f"d{i}", title="", text="t") for i in range(4)],
      queries=[Query(query_id=f"q{i}", text="t") for i in range(3)],
      qrels=qrels,
    )
  return Collection.open(folder)


@pytest.mark.parametrize("block", [1, 2, 100])
def test_judgements_as_rows(tmp_path, monkeypatch, block):
  monkeypatch.setattr(judged, "_BLOCK", block)
  found = judged.read(prepared(tmp_path / "c", QRELS))
  train = found.splits["train"]
  assert train.queries.tolist() == [2, 2, 0]
  assert train.documents.tolist() == [1, 0, 2]
  assert train.positive.tolist() == [True, False, True]
  assert len(found.splits["dev"]) == 0
  assert found.covered().tolist() == [False, True, True, False]
  assert found.num_documents == 4 and list(found.query_ids) == [
    "q0",
    "q1",
    "q2",
  ]


def test_the_grade_that_counts(tmp_path):
  found = judged.read(prepared(tmp_path / "c", QRELS), relevance=2)
  assert found.covered().tolist() == [False, False, True, False]


def test_nothing_is_covered_without_training_queries(tmp_path):
  found = judged.read(prepared(tmp_path / "c", {"test": {"q1": {"d3": 1}}}))
  assert not found.covered().any()


@pytest.mark.parametrize(
  ("qrels", "message"),
  [
    ({"q9": {"d1": 1}}, "'q9', a judged query of split 'test', is not there"),
    ({"q1": {"d9": 1}}, "'d9', a judged document of split 'test', is not"),
  ],
)
def test_judgements_of_what_is_not_there(tmp_path, qrels, message):
  with pytest.raises(DataError, match=message):
    judged.read(prepared(tmp_path / "c", {"test": qrels}))
