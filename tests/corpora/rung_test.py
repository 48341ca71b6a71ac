import functools
import json

import numpy as np
import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.corpora import judged as judgements
from genret.corpora import rung
from genret.evaluation import splits

TEXTS = ["a", "b", "a", "c", "b", "a", "d"]
QRELS = {
  "train": {
    "t0": {"d0": 1, "d6": 1},
    "t1": {"d1": 0, "d2": 2},
    "t2": {"d3": 1},
  },
  "test": {"e0": {"d0": 1, "d4": 1}, "e1": {"d5": 1, "d3": 0}},
}


@pytest.fixture
def source(tmp_path):
  recipe = artifacts.Recipe(
    stage=collection.STAGE,
    arguments={"name": "toy"},
    format_version=collection.FORMAT_VERSION,
  )
  ids = ["e1", "t0", "t1", "unasked", "t2", "e0"]
  with artifacts.building(tmp_path / "toy", recipe) as draft:
    collection.write(
      draft,
      documents=[
        Document(docno=f"d{i}", title="", text=text)
        for i, text in enumerate(TEXTS)
      ],
      queries=[Query(query_id=i, text=f"text of {i}") for i in ids],
      qrels=QRELS,
    )
  return Collection.open(tmp_path / "toy")


def part(judged, rows):
  there = np.zeros(judged.num_documents, bool)
  there[rows] = True
  return rung.Rung(
    documents=np.array(rows, np.int32),
    splits={
      split: {split: rung.restricted(found, there)}
      for split, found in judged.splits.items()
    },
  )


@pytest.fixture
def summary(source):
  judged = judgements.read(source)
  return functools.partial(
    rung.summary,
    judged,
    docnos=source.docnos,
    contents=rung.fingerprints(source),
  )


def test_the_whole_collection(source, summary):
  found = summary(rung.whole(judgements.read(source)))
  assert found["documents"] == 7 and found["queries"] == 5
  assert found["covered"] == 4  # d0, d6, d2, d3
  assert found["coverage"] == pytest.approx(1 / 3)
  assert found["coverage"] == splits.coverage(QRELS["train"], QRELS["test"])
  assert found["duplicates"] == 3
  assert found["splits"]["train"] == {
    "queries": 3,
    "judgements": 5,
    "positives": 4,
  }
  assert found["checksum"] == source.docnos.checksum


def test_a_part(source, summary):
  found = summary(part(judgements.read(source), [0, 1, 2, 4]))
  # t2 and e1 have no positive here; t0 keeps one of two.
  assert found["splits"] == {
    "train": {"queries": 2, "judgements": 3, "positives": 2},
    "test": {"queries": 1, "judgements": 2, "positives": 2},
  }
  assert found["covered"] == 2 and found["coverage"] == 0.5
  assert found["duplicates"] == 2
  json.dumps(found)


def test_no_test_positive_has_no_coverage(source, summary):
  assert summary(part(judgements.read(source), [3]))["coverage"] is None


def test_what_is_written(source, tmp_path):
  judged = judgements.read(source)
  folder = tmp_path / "part"
  folder.mkdir()
  made = part(judged, [0, 1, 2, 4])
  docnos = source.docnos.take(made.documents)
  rung.write(folder, source, judged=judged, rung=made, docnos=docnos)
  rung.write_summary(folder, {"documents": 4}, {"documents": 7})
  header = "query-id\tcorpus-id\tscore\n"
  assert (folder / "qrels" / "train.tsv").read_text() == (
    header + "t0\td0\t1\nt1\td1\t0\nt1\td2\t2\n"
  )
  assert (folder / "qrels" / "test.tsv").read_text() == (
    header + "e0\td0\t1\ne0\td4\t1\n"
  )
  lines = (folder / "queries.jsonl").read_text().splitlines()
  assert [json.loads(line)["_id"] for line in lines] == ["t0", "t1", "e0"]
  assert np.load(folder / "rows.npy").tolist() == [0, 1, 2, 4]
  summary = json.loads((folder / "summary.json").read_text())
  assert summary == {"documents": 4, "collection": {"documents": 7}}
