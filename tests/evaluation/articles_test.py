"""Queries about one article."""

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.evaluation import articles


def numbered(found):
  """Numbers articles in the order in which queries are about them."""
  numbers = {}
  return {q: numbers.setdefault(a, len(numbers)) for q, a in found.items()}


def test_most_answers_say_what_a_query_is_about():
  qrels = {
    "q1": {"a1": 1},
    "q2": {"a1": 1, "a2": 1, "b": 1},
    "q3": {"a2": 1, "b": 1},
    "q4": {"b": 1},
    "q5": {"b": 2, "c": 0},
    "q6": {},
    "q7": {},
    "q8": {"c": 1},
  }
  titles = {"a1": "A", "a2": "A", "b": "", "c": "C"}
  assert numbered(articles.clusters(qrels, titles)) == {
    **{"q1": 0, "q2": 0},
    "q3": 1,  # half of its answers are no more than half
    **{"q4": 2, "q5": 2},
    **{"q6": 3, "q7": 4},
    "q8": 5,
  }


def test_topics_of_many_answers_are_alone():
  # Each shares answers with the next, and none is about what they share.
  qrels = {f"q{i}": {f"d{i + j}": 1 for j in range(5)} for i in range(40)}
  assert len(set(articles.clusters(qrels, {}).values())) == 40


def test_only_answers_count():
  qrels = {"q1": {"a": 2, "b": 1}, "q2": {"b": 2}, "q3": {"a": 2, "b": 0}}
  assert numbered(articles.clusters(qrels, {})) == {"q1": 0, "q2": 1, "q3": 2}
  assert numbered(articles.clusters(qrels, {}, relevance=2)) == {
    "q1": 0,
    "q2": 1,
    "q3": 0,
  }


def test_a_title_that_is_a_docno_is_no_document():
  qrels = {"q1": {"a": 1}, "q2": {"b": 1}}
  assert articles.clusters(qrels, {"b": "a"}) == {
    "q1": ("document", "a"),
    "q2": ("title", "a"),
  }


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
  assert articles.of_collection(found, qrels) == {
    "q1": ("title", "Ships"),
    "q2": ("title", "Ships"),
    "q3": ("document", "d2"),
  }
  elsewhere = {"q1": {"gone": 1}, "q2": {"d1": 1}}
  found = articles.of_collection(found, elsewhere)
  assert numbered(found) == {"q1": 0, "q2": 1}
