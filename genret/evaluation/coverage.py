"""Splits of a wanted coverage: which training queries may stay."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from genret.core.collection import Qrels
from genret.core.errors import ConfigError
from genret.core.shares import fraction_of

NEAR = 0.01  # a share that cannot be had within this is refused


@dataclasses.dataclass(frozen=True, kw_only=True)
class Covering:
  """Training judgements under which a share of a test is covered.

  Attributes:
    train: query id -> docno -> grade, in the order they came.
    needed: of these, the query by which each covered document is covered.
    covered: docnos of test and dev that have a training query.
  """

  train: Qrels
  needed: tuple[str, ...]
  covered: frozenset[str]


def cover(
  train: Qrels,
  asked: Sequence[Qrels],
  *,
  share: float,
  seed: int = 0,
  relevance: int = 1,
) -> Covering:
  """Chooses training queries so that a share of positives has one.

  The documents that may be covered are chosen by the hash of their docnos,
  never by how their queries fare; a training query of any other document that
  is asked for goes. What is asked does not change.

  >>> train = {"a": {"d1": 1}, "b": {"d2": 1}, "c": {"d3": 1}, "d": {"d9": 1}}
  >>> test = {"x": {"d1": 1}, "y": {"d2": 1}}
  >>> list(cover(train, [test], share=0.5).train)
  ['a', 'c', 'd']

  Args:
    train: query id -> docno -> grade; the queries that there may be.
    asked: the judgements of test, then those of other splits. The share of
      test is met; others come as near as it leaves them.
    share: of the positives, from 0 to 1.
    seed: draws other documents.
    relevance: the least grade that counts as relevant.

  Raises:
    ConfigError: the share is out of range, or cannot be had.
  """
  if not 0 <= share <= 1:
    raise ConfigError(f"coverage lies between 0 and 1; {share} came.")
  positives = [
    [d for q in qrels.values() for d in _positives(q, relevance)]
    for qrels in asked
  ]
  documents = set().union(*positives)
  touched = {
    query: documents.intersection(_positives(judged, relevance))
    for query, judged in train.items()
  }
  state = _State(touched)
  for number, wanted in enumerate(positives):
    found = state.fill(wanted, share=share, seed=seed)
    if number == 0 and wanted and abs(found - share) > NEAR:
      raise ConfigError(
        f"A coverage of {share:g} is wanted; {found:.3f} is as near as the"
        f" {len(wanted):,} test positives come to it, as documents of the"
        " others have no query that is not asked, or too many that are. Ask"
        " for less, or take second queries from documents (cover_with)."
      )
  kept = {q: train[q] for q in train if not touched[q] & state.closed}
  if not kept:
    raise ConfigError(
      f"A coverage of {share:g} leaves no training query: all of them ask for"
      " documents that dev or test ask for. Ask fewer queries."
    )
  return Covering(
    train=kept,
    needed=tuple(state.chosen),
    covered=frozenset(state.open),
  )


def limited(
  found: Covering, size: int | None, *, seed: int = 0
) -> dict[str, Mapping[str, int]]:
  """Keeps so many training queries, and the coverage as it is.

  Args:
    found: what `cover` returned.
    size: how many; None for all.
    seed: draws others.

  Returns:
    Query id -> docno -> grade, in the order of `found.train`.

  Raises:
    ConfigError: there are fewer, or the coverage needs more.
  """
  train = found.train
  if size is None:
    return dict(train)
  if not max(len(found.needed), 1) <= size <= len(train):
    raise ConfigError(
      f"{size:,} training queries are wanted; there are {len(train):,}, and"
      f" {len(found.needed):,} of them are needed for the coverage."
    )
  spare = by_hash(set(train).difference(found.needed), seed=seed)
  kept = {*found.needed, *spare[: size - len(found.needed)]}
  return {query: judged for query, judged in train.items() if query in kept}


def by_hash(ids: Iterable[str], *, seed: int) -> list[str]:
  """Puts ids in an order that depends on each of them and the seed alone.

  >>> by_hash(["a", "b", "c"], seed=0), by_hash(["c", "a"], seed=0)
  (['a', 'b', 'c'], ['a', 'c'])
  """
  return sorted(ids, key=lambda one: (fraction_of(f"{seed}\n{one}"), one))


class _State:
  """Which documents are to be covered, and which are not to be.

  Args:
    touched: training query -> the documents it has that are asked for.
  """

  def __init__(self, touched: Mapping[str, set[str]]):
    self._touched = touched
    self._queries: dict[str, list[str]] = {}
    for query, documents in touched.items():
      for docno in documents:
        self._queries.setdefault(docno, []).append(query)
    self.open: set[str] = set()
    self.closed: set[str] = set()
    self.chosen: dict[str, None] = {}

  def fill(self, wanted: Sequence[str], *, share: float, seed: int) -> float:
    """Opens documents up to a share of positives and closes the others.

    Args:
      wanted: the document of each positive.
      share: of the positives that is to be covered.
      seed: of the order.

    Returns:
      The share that is covered.
    """
    counts: dict[str, int] = {}
    for docno in wanted:
      counts[docno] = counts.get(docno, 0) + 1
    room = round(share * len(wanted))
    room -= sum(counts.get(docno, 0) for docno in self.open)
    for docno in by_hash(counts, seed=seed):
      room -= self._opened(docno, counts, room)
    self.closed |= counts.keys() - self.open
    covered = sum(count for d, count in counts.items() if d in self.open)
    return covered / max(len(wanted), 1)

  def _opened(self, docno: str, counts: Mapping[str, int], room: int) -> int:
    """Covers a document if there is room; returns what that took."""
    if docno in self.open or docno in self.closed:
      return 0
    ways = [
      query
      for query in self._queries.get(docno, ())
      if not self._touched[query] & self.closed
    ]
    if not ways:
      return 0
    # The query that covers fewest others with it.
    query = min(ways, key=lambda q: len(self._touched[q] - self.open))
    new = self._touched[query] - self.open
    cost = sum(counts.get(one, 0) for one in new)
    if cost > room:
      return 0
    self.open |= new
    self.chosen[query] = None
    return cost


def _positives(judged: Mapping[str, int], relevance: int) -> list[str]:
  return [docno for docno, grade in judged.items() if grade >= relevance]
