import pytest

from genret.core import artifacts, collection
from genret.core.artifacts import Recipe
from genret.core.collection import Collection, Document, Positive, Query
from genret.core.errors import ArtifactError, DataError, UserError

DOCUMENTS = [
  Document(docno="d1", title="Ünï", text="first\nline\u2028two"),
  Document(docno="d2", title="", text="second"),
]
QUERIES = [
  Query(query_id="q2", text="two"),
  Query(query_id="q1", text="one"),
  Query(query_id="q0", text="nowhere judged"),
]
QRELS = {
  "test": {"q1": {"d2": 2, "d1": 0}},
  "train": {"q1": {"d1": 1}, "q2": {"d2": 1, "d1": 1}},
}


@pytest.fixture
def opened(tmp_path):
  recipe = Recipe(
    stage="prepare",
    arguments={"name": "toy"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(tmp_path / "out", recipe) as draft:
    collection.write(draft, documents=DOCUMENTS, queries=QUERIES, qrels=QRELS)
  return Collection.open(tmp_path / "out")


def test_what_was_written_is_read(opened):
  assert opened.name == "toy"
  assert list(opened.documents()) == DOCUMENTS
  assert list(opened.queries()) == QUERIES
  assert opened.qrels("train") == QRELS["train"]
  assert opened.qrels("test") == QRELS["test"]
  assert opened.splits == ("train", "test")
  assert opened.docnos == ("d1", "d2")
  assert list(opened.documents([1, 0, 1])) == [DOCUMENTS[i] for i in (1, 0, 1)]
  assert opened.docnos is opened.docnos
  assert opened.num_documents == 2
  assert opened.identity == artifacts.identity(opened.root)
  assert "toy" in repr(opened)


def test_the_layout_is_beirs(opened):
  path = opened.root / "qrels" / "test.tsv"
  assert path.read_text() == (
    "query-id\tcorpus-id\tscore\nq1\td2\t2\nq1\td1\t0\n"
  )
  first = (opened.root / "queries.jsonl").read_text().splitlines()[0]
  assert first == '{"_id": "q2", "text": "two"}'


def test_queries_of_a_split_are_those_judged_there(opened):
  assert [q.query_id for q in opened.queries("train")] == ["q2", "q1"]
  assert [q.query_id for q in opened.queries("test")] == ["q1"]


def test_positives_heed_the_grade(opened):
  two, one, _ = QUERIES
  assert list(opened.positives("train")) == [
    Positive(query=two, docno="d2"),
    Positive(query=two, docno="d1"),
    Positive(query=one, docno="d1"),
  ]
  assert list(opened.positives("test", relevance=2)) == [
    Positive(query=one, docno="d2")
  ]
  assert list(opened.positives("test", relevance=3)) == []


def test_documents_are_read_lazily(opened):
  with open(opened.root / "corpus.jsonl", "a") as file:
    file.write("{broken\n")
  documents = opened.documents()
  assert next(documents) == DOCUMENTS[0]
  assert next(documents) == DOCUMENTS[1]
  with pytest.raises(DataError, match="corpus.jsonl:3: broken JSON"):
    next(documents)


def test_contents_leave_out_an_empty_title():
  assert DOCUMENTS[1].contents == "second"
  assert Document(docno="d", title="A", text="b").contents == "A b"
  assert Document(docno="d", title="A", text="").contents == "A"


def test_an_unknown_split_is_suggested(opened):
  with pytest.raises(UserError, match="no split 'tets'. Did you mean 'test'"):
    opened.qrels("tets")
  with pytest.raises(UserError, match="Known: test, train"):
    next(opened.queries("dev"))


def test_damaged_qrels_name_the_line(opened):
  with open(opened.root / "qrels" / "test.tsv", "a") as file:
    file.write("q1\td1\n")
  with pytest.raises(DataError, match=r"test\.tsv:4: "):
    opened.qrels("test")


def test_a_folder_that_is_not_prepared(tmp_path):
  with pytest.raises(ArtifactError, match="genret prepare"):
    Collection.open(tmp_path)


def test_a_folder_of_an_older_format(tmp_path):
  recipe = Recipe(stage="prepare", arguments={"name": "toy"})
  with artifacts.building(tmp_path / "old", recipe) as draft:
    (draft / "corpus.jsonl").write_text("")
  with pytest.raises(ArtifactError, match="version 1; .* make it anew"):
    Collection.open(tmp_path / "old")
