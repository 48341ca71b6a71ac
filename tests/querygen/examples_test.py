import json

import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.core.errors import ConfigError, DataError
from genret.querygen import examples
from genret.querygen.prompting import Example


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Collection:
  """Eight documents, of which one is long and one empty; grades 0 to 2."""
  texts = {f"d{i}": f"text {i}" for i in range(6)}
  texts |= {"long": "word " * 200, "empty": ""}
  qrels = {f"q{i}": {docno: i % 3} for i, docno in enumerate(texts)}
  root = tmp_path_factory.mktemp("labelled") / "labelled"
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "labelled"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(root, recipe) as draft:
    collection.write(
      draft,
      documents=[
        Document(docno=docno, title="", text=text)
        for docno, text in texts.items()
      ],
      queries=[Query(query_id=q, text=f"query {q}") for q in qrels],
      qrels={"train": qrels, "dev": {}},
    )
  return Collection.open(root)


def drawn(found, **fields):
  return examples.drawn(found, **{"split": "train", "seed": 0} | fields)


def test_documents_are_different_and_short_ones_come_first(labelled):
  found = drawn(labelled, number=4)
  docnos = [example.docno for example in found]
  assert sorted(docnos) == ["d1", "d2", "d4", "d5"]  # grades of 1 and 2
  assert found == drawn(labelled, number=4)
  assert docnos != [e.docno for e in drawn(labelled, number=4, seed=1)]
  more = drawn(labelled, number=8)
  assert [example.docno for example in more[4:]] == []


def test_grades_take_turns(labelled):
  found = drawn(labelled, number=6, graded=True)
  assert sorted(example.grade for example in found) == [0, 0, 1, 1, 2, 2]
  assert {example.grade for example in found[:3]} == {0, 1, 2}


def test_long_documents_are_taken_where_there_are_no_others(labelled):
  found = drawn(labelled, number=8, graded=True)
  assert "empty" not in [example.docno for example in found]
  assert {e.docno for e in found} <= {f"d{i}" for i in range(6)} | {"long"}


def test_a_split_without_labels(labelled):
  assert drawn(labelled, number=0, split="dev") == ()
  with pytest.raises(ConfigError, match="no labelled queries to draw"):
    drawn(labelled, number=1, split="dev")


def test_a_file(tmp_path):
  path = tmp_path / "examples.jsonl"
  path.write_text(
    '{"text": " a ", "query": "b", "grade": 2}\n\n'
    '{"text": "c", "query": "d", "docno": "d1"}\n'
  )
  assert examples.read(path) == (
    Example(text="a", query="b", grade=2),
    Example(text="c", query="d", docno="d1"),
  )


@pytest.mark.parametrize(
  ("line", "message"),
  [
    ("{", ":2: Expecting"),
    ("[1]", ":2: expected a JSON object"),
    ('{"text": "a"}', ":2: expected a text under 'query'"),
    ('{"text": "a", "query": " "}', ":2: expected a text under 'query'"),
    (
      '{"text": "a", "query": "b", "grade": "2"}',
      ":2: expected an integer under 'grade'",
    ),
  ],
)
def test_faults_of_a_file_are_named(tmp_path, line, message):
  path = tmp_path / "examples.jsonl"
  path.write_text(f'{{"text": "a", "query": "b"}}\n{line}\n')
  with pytest.raises(DataError, match=message):
    examples.read(path)


@pytest.mark.parametrize("count", [0, 9])
def test_one_to_eight_examples(tmp_path, count):
  path = tmp_path / "examples.jsonl"
  path.write_text(json.dumps({"text": "a", "query": "b"}) + "\n")
  path.write_text(path.read_text() * count)
  with pytest.raises(DataError, match=f"{count} examples; expected 1 to 8"):
    examples.read(path)


def test_no_file(tmp_path):
  with pytest.raises(DataError, match="cannot be read"):
    examples.read(tmp_path / "none.jsonl")
