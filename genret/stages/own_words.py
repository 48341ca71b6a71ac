"""Second queries: a document's own words, where no other document has them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from genret.core.collection import Collection, Document, Query
from genret.core.text import text_key
from genret.tasks import representations

Words = Literal["titles", "sentences"]

WORDS = 4  # the fewest of a sentence


def queries(
  collection: Collection, docnos: Iterable[str], *, words: Words
) -> Iterator[tuple[str, Query]]:
  """Yields a query for each document that has words of its own.

  Words that another document of the whole collection has as well ask for
  neither; so on every rung of a ladder a document has the same query.

  Args:
    collection: which documents are of.
    docnos: of the documents that need a query.
    words: "titles", or "sentences" for the first of a text that is its own.

  Yields:
    A docno and the query, whose id is the kind of words and the docno.
  """
  found = _Words(words)
  rows = collection.docnos.rows(sorted(set(docnos)))
  for document in collection.documents(sorted(rows)):
    found.note(document)
  for document in _whole(collection).documents():
    found.count(document)
  for docno, text in found.own():
    yield docno, Query(query_id=f"{words}:{docno}", text=text)


class _Words:
  """Words of some documents, and how often all documents have them."""

  def __init__(self, kind: Words):
    self._read = _READ[kind]
    self._of: dict[str, list[str]] = {}
    self._counts: dict[bytes, int] = {}

  def note(self, document: Document) -> None:
    """Notes a document that needs a query."""
    self._of[document.docno] = self._read(document)
    for text in self._of[document.docno]:
      self._counts[text_key(text)] = 0

  def count(self, document: Document) -> None:
    """Counts the words of any document."""
    for key in {text_key(text) for text in self._read(document)}:
      if key in self._counts:
        self._counts[key] += 1

  def own(self) -> Iterator[tuple[str, str]]:
    """Yields each docno and the first of its words that are its own."""
    for docno, texts in self._of.items():
      for text in texts:
        if self._counts[text_key(text)] == 1:
          yield docno, text
          break


def _titles(document: Document) -> list[str]:
  return [document.title] if document.title.strip() else []


def _sentences(document: Document) -> list[str]:
  return representations.sentences(document.text, min_words=WORDS)


_READ: dict[Words, Callable[[Document], list[str]]] = {
  "titles": _titles,
  "sentences": _sentences,
}


def _whole(collection: Collection) -> Collection:
  while collection.parent is not None:
    collection = collection.parent
  return collection
