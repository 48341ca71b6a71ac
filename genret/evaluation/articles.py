"""Which queries are about one article, and so are answered alike."""

import collections
from collections.abc import Iterable, Mapping

from genret.core.collection import Collection, Qrels

Article = tuple[str, str]
"""What it is named by (a title, a docno or a query) and its name."""


def clusters(
  qrels: Qrels, titles: Mapping[str, str], *, relevance: int = 1
) -> dict[str, Article]:
  """Groups queries about the same article.

  An article is what several documents with one title are parts of; a document
  without a title is one by itself. A query is about the article that has more
  than half of its answers. One with answers all over the corpus, as topics of
  TREC have, is about none and alone: chains of such answers would join nearly
  all queries of a collection.

  >>> clusters(
  ...   {"q1": {"a1": 1}, "q2": {"a2": 1, "b": 0}, "q3": {"a1": 1, "b": 1}},
  ...   {"a1": "Ships", "a2": "Ships", "b": ""},
  ... )
  {'q1': ('title', 'Ships'), 'q2': ('title', 'Ships'), 'q3': ('query', 'q3')}

  Args:
    qrels: query id -> docno -> grade.
    titles: docno -> title, of the answers at least; "" where there is none.
    relevance: the lowest grade of an answer.

  Returns:
    Query id -> its article; a query about none is one by itself.
  """
  found = {}
  for query, judged in qrels.items():
    answers = list(_answers(judged, relevance))
    articles = collections.Counter(_article(docno, titles) for docno in answers)
    [(article, count)] = articles.most_common(1) or [(("", ""), 0)]
    if 2 * count <= len(answers):
      article = ("query", query)
    found[query] = article
  return found


def of_collection(
  collection: Collection, qrels: Qrels, *, relevance: int = 1
) -> dict[str, Article]:
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


def _article(docno: str, titles: Mapping[str, str]) -> Article:
  title = titles.get(docno, "")
  return ("title", title) if title else ("document", docno)


def _answers(judged: Mapping[str, int], relevance: int) -> Iterable[str]:
  return (docno for docno, grade in judged.items() if grade >= relevance)
