"""What a service knows: a model, its documents, and BM25 over them."""

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from genret.core.collection import Collection, Document, Query
from genret.core.docnos import Docnos
from genret.core.errors import ConfigError
from genret.core.runs import Hit
from genret.retrieval import dual_spec, generative
from genret.retrieval.bm25 import BM25
from genret.retrieval.generative import Retriever
from genret.stages.retrieve import check_documents

SNIPPET = 300  # characters of a document that stand beside a hit
KEPT = 20_000  # documents whose beginnings stay in memory

# Kinds of work: (SEARCH, num_beams), (EXPLAIN, num_beams), (BY_BM25,).
SEARCH, EXPLAIN, BY_BM25 = "search", "explain", "bm25"


class Index:
  """A model, and where there is a collection, its texts and BM25.

  Args:
    retriever: The model.
    collection: Its documents; None where only docnos are known.
    bm25: Over the same documents; None for no comparison.
  """

  def __init__(
    self,
    retriever: Retriever,
    *,
    collection: Collection | None = None,
    bm25: BM25 | None = None,
  ):
    self.retriever = retriever
    self.collection = collection
    self.bm25 = bm25
    self._shown = functools.lru_cache(maxsize=KEPT)(self._show)

  @classmethod
  def open(
    cls,
    model_dir: Path,
    collection: Collection | None = None,
    *,
    checkpoint: str | int = "best",
    bm25: bool = True,
  ) -> "Index":
    """Loads a model, and indexes its collection for BM25.

    Args:
      model_dir: A folder of `genret train`.
      collection: The collection that it was trained on.
      checkpoint: `best`, `newest`, or a step.
      bm25: Whether BM25 is to be asked as well.

    Raises:
      UserError: If the model writes no docids, or the collection has other
        documents.
    """
    if dual_spec.is_dual(model_dir):
      raise ConfigError(
        f"{model_dir} holds a dual encoder, which writes no docids; genret"
        " serve answers from a model folder of genret train."
      )
    retriever = Retriever.load(model_dir, checkpoint=checkpoint)
    if collection is None:
      return cls(retriever)
    check_documents(retriever.table, model_dir, collection)
    lexical = BM25().fit(collection.documents()) if bm25 else None
    return cls(retriever, collection=collection, bm25=lexical)

  @property
  def scheme(self) -> str:
    """How the docids were made."""
    return self.retriever.spec.scheme

  @property
  def num_documents(self) -> int:
    """N."""
    return self.retriever.table.num_documents

  def search(
    self, queries: Sequence[str], *, k: int, num_beams: int
  ) -> list[list[dict[str, Any]]]:
    """Returns the hits of each query, as they are sent."""
    found = self.retriever.search(queries, k=k, num_beams=num_beams)
    return [self.shown(hits) for hits in found]

  def search_bm25(
    self, queries: Sequence[str], *, k: int
  ) -> list[list[dict[str, Any]]]:
    """Returns the hits of BM25 for each query, as they are sent."""
    asked = [
      Query(query_id=str(number), text=text)
      for number, text in enumerate(queries)
    ]
    found = self.bm25.search(asked, k=k)
    return [self.shown(found[query.query_id]) for query in asked]

  def explain(
    self, query: str, *, num_beams: int, dropped: int
  ) -> dict[str, Any]:
    """Returns how the model came to its answer, as it is sent."""
    found = self.retriever.explain(query, num_beams=num_beams, dropped=dropped)
    return found.as_json() | {"hits": self.shown(found.hits)}

  def document(self, docno: str) -> dict[str, str] | None:
    """Returns a document whole; None where there is none of this docno."""
    row = int(self._docnos.find([docno])[0])
    if row < 0:
      return None
    document = self._read(row, docno)
    return {
      "docno": docno,
      "title": document.title,
      "text": document.text,
      "docid": self.retriever.docid(docno),
    }

  def warm_up(
    self, beams: Sequence[int]
  ) -> dict[tuple[str, *tuple[int, ...]], dict[int, float]]:
    """Compiles all that searches need, and times what has been compiled.

    Args:
      beams: The numbers of beams that will be asked for.

    Returns:
      Of each kind of work, the seconds of a batch by its size.
    """
    self.retriever.warm_up(beams)
    longest = ["warm " * self.retriever.spec.input_length]
    found = {}
    for number in beams:
      search = functools.partial(self.search, k=1, num_beams=number)
      explain = functools.partial(self.explain, num_beams=number, dropped=0)
      found[SEARCH, number] = {
        size: _timed(lambda s=size, search=search: search(longest * s))
        for size in generative.BATCH_SIZES
      }
      found[EXPLAIN, number] = {1: _timed(lambda e=explain: e(longest[0]))}
    if self.bm25 is not None:
      found[(BY_BM25,)] = {
        size: _timed(lambda s=size: self.search_bm25(longest * s, k=1))
        for size in generative.BATCH_SIZES
      }
    return found

  def shown(self, hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Returns hits with what people read of their documents."""
    return [
      {"docno": hit.docno, "score": hit.score} | self._shown(hit.docno)
      for hit in hits
    ]

  def _show(self, docno: str) -> dict[str, Any]:
    document = self.document(docno)
    return {
      "docid": document["docid"],
      "title": document["title"],
      "text": document["text"][:SNIPPET],
      "truncated": len(document["text"]) > SNIPPET,
    }

  @functools.cached_property
  def _docnos(self) -> Docnos:
    return Docnos.from_strings(self.retriever.table.docnos)

  def _read(self, row: int, docno: str) -> Document:
    if self.collection is None:
      return Document(docno=docno, title="", text="")
    [document] = self.collection.documents([row])
    return document


def _timed(work: Callable[[], object]) -> float:
  """Returns the seconds that work takes."""
  started = time.perf_counter()
  work()
  return time.perf_counter() - started
