"""How many queries a filter keeps: overall, by document, by what made them."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from genret.querygen.filter import STAY, Rule, Verdict
from genret.tasks.synthetic import SyntheticQuery

DEPTHS = (1, 3, 10, 30, 100, 300, 1000)  # that rates are reported at
SHARES = 10  # equal parts of the share of a document's queries


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rates:
  """What a filter kept.

  Attributes:
    rule: Which queries stay.
    depth: Documents searched a query; 0 without a search.
    queries: Queries before.
    kept: Queries after.
    verdicts: Verdict -> queries.
    found: Depth -> queries that find their document within it.
    keep_rate: The share of queries that find their document within k.
    by_document: The mean over documents of that share of their queries.
    by_document_histogram: Documents none of whose queries finds them, then
      those whose share lies in each of SHARES equal parts over 0, 1 in the
      last.
    by_generator: What made the queries -> the share of those.
    by_grade: The grade asked for -> likewise.
    documents: Documents of the collection.
    with_queries: Documents that had a query.
    left_without: Documents that had a query and have none now.
  """

  rule: Rule
  depth: int
  queries: int
  kept: int
  verdicts: Mapping[Verdict, int]
  found: Mapping[int, int]
  keep_rate: float
  by_document: float
  by_document_histogram: Sequence[int]
  by_generator: Mapping[str, float]
  by_grade: Mapping[int, float]
  documents: int
  with_queries: int
  left_without: int


class RateCounts:
  """Counts what is kept, document by document.

  >>> queries = [SyntheticQuery(docno="d", text=text) for text in "abcd"]
  >>> counts = RateCounts(Rule(k=1), depth=3)
  >>> counts.add(queries, np.array([1, 1, 0, 3]), ["kept"] * 2 + ["missed"] * 2)
  >>> rates = counts.rates(num_documents=10)
  >>> rates.kept, rates.keep_rate, rates.found, rates.left_without
  (2, 0.5, {1: 2, 3: 3}, 0)

  Args:
    rule: Which queries stay.
    depth: Documents searched a query; 0 without a search.
  """

  def __init__(self, rule: Rule, *, depth: int):
    self._rule = rule
    self._depth = depth
    self._verdicts: Counter[Verdict] = Counter()
    self._ranks: Counter[int] = Counter()
    self._generators = _Shares()
    self._grades = _Shares()
    self._shares: list[float] = []
    self._left_without = 0

  def add(
    self,
    queries: Sequence[SyntheticQuery],
    ranks: np.ndarray,
    verdicts: Sequence[Verdict],
  ) -> None:
    """Counts the queries of a document; arguments as in `filter.judge`."""
    found = self._rule.found(ranks)
    self._verdicts.update(verdicts)
    self._ranks.update(ranks.tolist())
    self._shares.append(float(found.mean()))
    self._left_without += not set(STAY) & set(verdicts)
    for query, is_found in zip(queries, found.tolist(), strict=True):
      self._generators.add(query.generator, is_found)
      if query.grade is not None:
        self._grades.add(query.grade, is_found)

  def rates(self, *, num_documents: int) -> Rates:
    """Returns what was counted.

    Args:
      num_documents: Of the collection.
    """
    number = self._verdicts.total()
    depths = {d for d in DEPTHS if d < self._depth} | {self._depth}
    depths = sorted({*depths, self._rule.k or 0} - {0})
    missed = self._verdicts["missed"] + self._verdicts["best"]
    return Rates(
      rule=self._rule,
      depth=self._depth,
      queries=number,
      kept=sum(self._verdicts[verdict] for verdict in STAY),
      verdicts=dict(sorted(self._verdicts.items())),
      found={depth: self._within(depth) for depth in depths},
      keep_rate=(number - missed) / number,
      by_document=float(np.mean(self._shares)),
      by_document_histogram=_histogram(self._shares),
      by_generator=self._generators.rates(),
      by_grade=self._grades.rates(),
      documents=num_documents,
      with_queries=len(self._shares),
      left_without=self._left_without,
    )

  def _within(self, depth: int) -> int:
    return sum(n for rank, n in self._ranks.items() if 0 < rank <= depth)


class _Shares:
  """Of several kinds of query, how many there are and how many are found."""

  def __init__(self):
    self._all: Counter[str | int] = Counter()
    self._found: Counter[str | int] = Counter()

  def add(self, kind: str | int, is_found: bool) -> None:
    self._all[kind] += 1
    self._found[kind] += is_found

  def rates(self) -> dict:
    kinds = sorted(self._all)
    return {kind: self._found[kind] / self._all[kind] for kind in kinds}


def _histogram(shares: Sequence[float]) -> list[int]:
  """Counts shares: none at all, then by equal parts over 0.

  >>> _histogram([0.0, 0.05, 0.1, 1.0])
  [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1]
  """
  bins = np.ceil(np.asarray(shares) * SHARES - 1e-9).astype(int)
  return np.bincount(bins, minlength=SHARES + 1).tolist()
