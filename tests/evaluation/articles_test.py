"""Queries about one article."""

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.evaluation import articles


def test_chains_of_answers_join_queries():
  qrels = {
    "q1": {"a": 1},
    "q2": {"b": 1},
    "q3": {"a": 1, "b": 1},
    "q4": {"c": 1},
    "q5": {"d": 1},
    "q6": {"c": 1, "e": 1},
  }
  titles = {"d": "T", "e": "T", "a": "A", "b": "B"}
  assert articles.clusters(qrels, titles) == {
    "q1": 0,
    "q2": 0,
    "q3": 0,
    "q4": 1,
    "q5": 1,
    "q6": 1,
  }


def test_only_answers_join():
  qrels = {"q1": {"a": 1, "b": 1}, "q2": {"b": 2}, "q3": {"a": 0}}
  assert articles.clusters(qrels, {}) == {"q1": 0, "q2": 0, "q3": 1}
  assert articles.clusters(qrels, {}, relevance=2) == {
    "q1": 0,
    "q2": 1,
    "q3": 2,
  }


def test_a_title_that_is_a_docno_is_no_document():
  qrels = {"q1": {"a": 1}, "q2": {"b": 1}}
  assert articles.clusters(qrels, {"b": "a"}) == {"q1": 0, "q2": 1}


def test_many_queries_of_one_document_are_no_deep_chain():
  qrels = {f"q{i}": {f"d{i}": 1, f"d{i + 1}": 1} for i in range(5000)}
  assert set(articles.clusters(qrels, {}).values()) == {0}


def test_titles_are_those_of_the_collection(tmp_path):
  root = tmp_path / "toy"
  recipe = artifacts.Recipe(
    stage="prepare", arguments={}, format_version=collection.FORMAT_VERSION
  )
  qrels = {"q1": {"d3": 1}, "q2": {"d1": 1}, "q3": {"d2": 1}}
  with artifacts.building(root, recipe) as draft:
    collection.write(
      draft,
      documents=[
        Document(docno="d1", title="Ships", text="one"),
        Document(docno="d2", title="", text="two"),
        Document(docno="d3", title="Ships", text="three"),
      ],
      queries=[Query(query_id=q, text=q) for q in qrels],
      qrels={"test": qrels},
    )
  found = Collection.open(root)
  assert articles.of_collection(found, qrels) == {"q1": 0, "q2": 0, "q3": 1}
  elsewhere = {"q1": {"gone": 1}, "q2": {"d1": 1}}
  assert articles.of_collection(found, elsewhere) == {"q1": 0, "q2": 1}
