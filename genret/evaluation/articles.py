"""Which queries are about one article, and so are answered alike."""

from collections.abc import Iterable, Mapping

from genret.core.collection import Collection, Qrels


def clusters(
  qrels: Qrels, titles: Mapping[str, str], *, relevance: int = 1
) -> dict[str, int]:
  """Groups queries whose answers share an article, or else a document.

  An article is what several documents with one title are parts of. Queries
  are in one cluster if a chain of such answers joins them.

  >>> clusters(
  ...   {"q1": {"a1": 1}, "q2": {"a2": 1, "b": 0}, "q3": {"b": 1}, "q4": {}},
  ...   {"a1": "Ships", "a2": "Ships", "b": ""},
  ... )
  {'q1': 0, 'q2': 0, 'q3': 1, 'q4': 2}

  Args:
    qrels: query id -> docno -> grade.
    titles: docno -> title, of the answers at least; "" where there is none.
    relevance: the lowest grade of an answer.

  Returns:
    Query id -> its cluster, numbered from 0 in the order of the qrels; a query
    without an answer is alone.
  """
  parents: dict[tuple[str, str], tuple[str, str]] = {}

  def root(key: tuple[str, str]) -> tuple[str, str]:
    while parents.setdefault(key, key) != key:
      parents[key] = parents[parents[key]]
      key = parents[key]
    return key

  for query, judged in qrels.items():
    mine = root(("query", query))
    for docno in _answers(judged, relevance):
      title = titles.get(docno, "")
      shared = ("title", title) if title else ("document", docno)
      parents[root(shared)] = mine
  numbers: dict[tuple[str, str], int] = {}
  return {
    query: numbers.setdefault(root(("query", query)), len(numbers))
    for query in qrels
  }


def of_collection(
  collection: Collection, qrels: Qrels, *, relevance: int = 1
) -> dict[str, int]:
  """Groups queries by the titles of a collection; else as `clusters`.

  Answers that the collection lacks have no title.
  """
  wanted = dict.fromkeys(
    docno for judged in qrels.values() for docno in _answers(judged, relevance)
  )
  rows = collection.docnos.find(wanted)
  found = collection.documents(sorted(rows[rows >= 0].tolist()))
  titles = {document.docno: document.title for document in found}
  return clusters(qrels, titles, relevance=relevance)


def _answers(judged: Mapping[str, int], relevance: int) -> Iterable[str]:
  return (docno for docno, grade in judged.items() if grade >= relevance)
