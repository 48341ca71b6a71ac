"""Answers to requests: what has been checked goes to the batcher and back."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any

import genret
from genret.serving import faults, schemas
from genret.serving.batching import Batcher, Ticket
from genret.serving.faults import Fault
from genret.serving.index import BY_BM25, EXPLAIN, SEARCH, Index
from genret.serving.limits import Limits
from genret.serving.metrics import Metrics

Gone = Callable[[], Awaitable[None]]
"""Returns once the client has hung up."""


class HungUp(Exception):
  """The client is gone; nobody is to be told."""


class Service:
  """One model that is asked by many.

  Args:
    index: What answers.
    limits: What may be asked.
    beams: The numbers of beams that may be asked for, ascending.
    num_beams: The one of them that is used where none is asked for.
    window: Seconds that an idle service waits for queries to decode together.
    seconds: Of each kind of work, the seconds of a batch by its size; what is
      not known is learned.
  """

  def __init__(
    self,
    index: Index,
    *,
    limits: Limits,
    beams: Sequence[int],
    num_beams: int,
    window: float = 0.003,
    seconds: Mapping[Hashable, Mapping[int, float]] | None = None,
  ):
    self.index = index
    self.limits = limits
    self.beams = tuple(beams)
    self.num_beams = num_beams
    self.metrics = Metrics()
    self.search_schema = schemas.search_schema(limits, beams, num_beams)
    self.explain_schema = schemas.explain_schema(limits, beams, num_beams)
    best = {key: best_size(sizes) for key, sizes in (seconds or {}).items()}
    self.batcher = Batcher(
      self._work,
      most=best,
      capacity=limits.waiting,
      window=window,
      seconds={key: seconds[key][size] / size for key, size in best.items()},
      watch=self.metrics.watch,
    )

  async def search(self, body: Any, gone: Gone) -> dict[str, Any]:
    """Answers POST /search.

    Args:
      body: What its JSON says, not yet checked.
      gone: Returns once the client has hung up.

    Raises:
      Fault: Whatever the client is to be told instead.
      HungUp: If the client hung up.
    """
    started = time.monotonic()
    asked = schemas.check(body, self.search_schema)
    queries = asked["queries"] if "queries" in asked else [asked["query"]]
    if asked["system"] == "bm25":
      if self.index.bm25 is None:
        raise Fault(422, "system is 'bm25'; this service has no BM25 index")
      key: Hashable = (BY_BM25,)
    else:
      key = (SEARCH, asked["num_beams"])
    items = [(query, asked["k"]) for query in queries]
    found = await self._ask(key, items, gone)
    return {
      "system": asked["system"],
      "k": asked["k"],
      "num_beams": asked["num_beams"],
      "milliseconds": _milliseconds(started),
      "results": [
        {"query": query, "hits": hits}
        for query, hits in zip(queries, found, strict=True)
      ],
    }

  async def explain(self, body: Any, gone: Gone) -> dict[str, Any]:
    """Answers POST /explain; as `search`."""
    started = time.monotonic()
    asked = schemas.check(body, self.explain_schema)
    item = (asked["query"], asked["dropped"])
    [found] = await self._ask((EXPLAIN, asked["num_beams"]), [item], gone)
    return found | {"milliseconds": _milliseconds(started)}

  def document(self, docno: str) -> dict[str, Any]:
    """Answers GET /documents/{docno}."""
    found = self.index.document(docno)
    if found is None:
      raise Fault(404, f"no document {schemas.shown(docno)}")
    return found

  def health(self) -> dict[str, Any]:
    """Answers GET /health."""
    return {
      "status": "ok",
      "version": genret.__version__,
      "scheme": self.index.scheme,
      "documents": self.index.num_documents,
      "max_k": self.limits.k,
      "num_beams": list(self.beams),
      "default_num_beams": self.num_beams,
      "max_query_characters": self.limits.query_characters,
      "bm25": self.index.bm25 is not None,
    }

  async def _ask(self, key: Hashable, items: Sequence, gone: Gone) -> Sequence:
    """Lets a batch answer, unless the client or the deadline goes first."""
    deadline = self.limits.deadline_seconds
    ticket = self.batcher.submit(key, items, deadline=deadline)
    hung_up = asyncio.ensure_future(gone())
    try:
      done, _ = await asyncio.wait(
        (ticket.answer, hung_up),
        timeout=ticket.due - time.monotonic(),
        return_when=asyncio.FIRST_COMPLETED,
      )
    finally:
      hung_up.cancel()
      if not ticket.answer.done():
        self.batcher.drop(ticket)
        ticket.answer.cancel()
    return self._outcome(ticket, done)

  def _outcome(self, ticket: Ticket, done: set) -> Sequence:
    if ticket.answer in done:
      return ticket.answer.result()
    if done:
      self.metrics.given_up("hung up")
      raise HungUp
    self.metrics.given_up("late")
    raise faults.late(self.limits.deadline_seconds)

  def _work(self, key: Hashable, items: Sequence) -> Sequence:
    """Answers a batch; runs on the batcher's thread."""
    work, *beams = key
    if work == EXPLAIN:
      return [
        self.index.explain(query, num_beams=beams[0], dropped=dropped)
        for query, dropped in items
      ]
    queries = [query for query, _ in items]
    most = max(k for _, k in items)
    if work == BY_BM25:
      found = self.index.search_bm25(queries, k=most)
    else:
      found = self.index.search(queries, k=most, num_beams=beams[0])
    return [hits[:k] for hits, (_, k) in zip(found, items, strict=True)]


def best_size(seconds: Mapping[int, float]) -> int:
  """Returns the size of batches that answers most queries a second.

  >>> best_size({1: 0.02, 8: 0.08, 64: 0.8})
  8

  Args:
    seconds: What a batch takes, by its size.
  """
  return max(seconds, key=lambda size: size / seconds[size])


def _milliseconds(started: float) -> float:
  return round(1000 * (time.monotonic() - started), 3)
