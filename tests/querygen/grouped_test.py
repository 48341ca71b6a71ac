import gzip
import itertools

import numpy as np
import pytest

from genret.core import artifacts
from genret.core import collection as collections
from genret.core.collection import Collection, Document, Query
from genret.core.errors import ArtifactError, DataError
from genret.querygen import grouped
from genret.querygen.grouped import GroupedQueries
from genret.tasks.synthetic import SyntheticQuery, write_line

DOCUMENTS = [
  Document(docno=docno, title="", text=f"the text of {docno}")
  for docno in ("b", "a", "d", "c")
]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
  return made(tmp_path_factory.mktemp("data") / "collection")


def made(folder, documents=DOCUMENTS):
  recipe = artifacts.Recipe(
    stage=collections.STAGE, format_version=collections.FORMAT_VERSION
  )
  with artifacts.building(folder, recipe) as draft:
    collections.write(
      draft,
      documents=documents,
      queries=[
        Query(query_id="q1", text="one"),
        Query(query_id="q2", text="two"),
      ],
      qrels={"train": {"q1": {"c": 1, "b": 2}, "q2": {"b": 1, "a": 0}}},
    )
  return Collection.open(folder)


def lines(*rows):
  return "".join(f"{docno}\t{text}\n" for docno, text in rows)


def read(queries, collection):
  return [
    (document.docno, document.text, [query.text for query in group])
    for document, group in queries.groups(collection)
  ]


SORTED = [("b", "1"), ("b", "2"), ("d", "3"), ("c", "4"), ("c", "5")]


def test_queries_of_any_order_come_by_document_in_corpus_order(
  collection, tmp_path
):
  expected = [
    ("b", "the text of b", ["1", "2"]),
    ("d", "the text of d", ["3"]),
    ("c", "the text of c", ["4", "5"]),
  ]
  path = tmp_path / "queries.tsv"
  for order in itertools.permutations(SORTED):
    if order.index(("b", "1")) < order.index(("b", "2")) and order.index(
      ("c", "4")
    ) < order.index(("c", "5")):
      path.write_text(lines(*order))
      found = GroupedQueries.open(path, collection)
      assert read(found, collection) == expected
      assert found.rows.tolist() == [0, 0, 2, 3, 3]
      assert len(found) == 5 and found.documents.tolist() == [0, 2, 3]
  (tmp_path / "q.tsv.gz").write_bytes(gzip.compress(path.read_bytes()))
  found = GroupedQueries.open(tmp_path / "q.tsv.gz", collection)
  assert read(found, collection) == expected


def test_a_file_in_corpus_order_is_not_held(collection, tmp_path):
  path = tmp_path / "queries.tsv"
  path.write_text(lines(*SORTED))
  found = GroupedQueries.open(path, collection)
  path.write_text(lines(*SORTED[:4], ("c", "changed")))
  assert [query.text for query in found][-1] == "changed"


def test_what_made_a_query_is_kept(collection, tmp_path):
  query = SyntheticQuery(
    docno="a", text="who", log_probability=-1.5, generator="t5", grade=2
  )
  (tmp_path / "q.jsonl").write_text(write_line(query))
  assert list(GroupedQueries.open(tmp_path / "q.jsonl", collection)) == [query]


def test_queries_of_lower_grades_are_left_out_where_asked(collection, tmp_path):
  path = tmp_path / "q.jsonl"
  made_for = [("b", None), ("a", 0), ("d", 1), ("c", 2)]
  path.write_text(
    "".join(
      write_line(SyntheticQuery(docno=docno, text="who", grade=grade))
      for docno, grade in made_for
    )
  )
  for relevance, docnos in ((None, "badc"), (1, "bdc"), (2, "bc")):
    found = GroupedQueries.open(path, collection, relevance=relevance)
    assert [query.docno for query in found] == list(docnos)
    assert found.low_grade == 4 - len(docnos) and not found.left_out
  query = SyntheticQuery(docno="a", text="who", grade=0)
  path.write_text(write_line(query))
  with pytest.raises(DataError, match="of grade 1 or more"):
    GroupedQueries.open(path, collection, relevance=1)


def test_labelled_queries_are_those_of_relevant_documents(collection):
  found = GroupedQueries.labelled(collection, "train")
  assert [(q.docno, q.text) for q in found] == [
    ("b", "one"),
    ("b", "two"),
    ("c", "one"),
  ]
  found = GroupedQueries.labelled(collection, "train", relevance=2)
  assert [(q.docno, q.text) for q in found] == [("b", "one")]


def test_faults_name_file_and_line(collection, tmp_path):
  path = tmp_path / "queries.tsv"
  path.write_text(lines(("b", "1"), ("x", "2")))
  with pytest.raises(DataError, match="queries.tsv:2: docno 'x' is not in"):
    GroupedQueries.open(path, collection)
  path.write_text("")
  with pytest.raises(DataError, match="the file is empty"):
    GroupedQueries.open(path, collection)
  with pytest.raises(
    DataError, match="nowhere.tsv: .* cannot be read: No such"
  ):
    grouped.identity(tmp_path / "nowhere.tsv")
  with pytest.raises(ArtifactError, match="makes no synthetic queries"):
    GroupedQueries.open(collection.root, collection)


def rung(parent, rows):
  """A collection of some of the documents, as a ladder's rung is one."""
  child = made(parent.root.parent / "rung", [DOCUMENTS[row] for row in rows])
  return Collection(child.root, artifacts.load(child.root), parent=parent)


def test_a_rung_takes_the_queries_of_its_documents(collection, tmp_path):
  path = tmp_path / "queries.tsv"
  path.write_text(lines(*SORTED))
  small = rung(collection, [0, 3])
  small.__dict__["parent_rows"] = np.array([0, 3])
  found = GroupedQueries.open(path, small)
  assert found.left_out == 1
  assert [query.text for query in found] == ["1", "2", "4", "5"]
  assert [d.docno for d, _ in found.groups(small)] == ["b", "c"]
  path.write_text(lines(("d", "3")))
  with pytest.raises(DataError, match="none of the 1 queries"):
    GroupedQueries.open(path, small)


def test_queries_made_for_another_collection_are_warned_of(
  collection, tmp_path, caplog
):
  for name, identity in (("same", collection.identity), ("other", "0" * 64)):
    recipe = artifacts.Recipe(stage="generate", inputs={"collection": identity})
    with artifacts.building(tmp_path / name, recipe) as folder:
      query = SyntheticQuery(docno="a", text="who")
      (folder / "queries.jsonl").write_text(write_line(query))
  assert len(GroupedQueries.open(tmp_path / "same", collection)) == 1
  assert not caplog.records
  assert len(GroupedQueries.open(tmp_path / "other", collection)) == 1
  assert "made for another collection" in caplog.text
