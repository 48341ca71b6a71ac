"""What synthetic queries are like: copies, lengths, repeats, overlap."""

import dataclasses
import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import numpy as np

from genret.core.collection import Document
from genret.core.text import normalise_query
from genret.querygen.grouped import Group
from genret.querygen.near_duplicates import repeats
from genret.querygen.overlap import Overlap
from genret.querygen.words import longest_run, places, words
from genret.tasks.synthetic import SyntheticQuery

COPIED_BINS = 20  # of the shares of words from 0 to 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spread:
  """How numbers are spread.

  Attributes:
    mean: Their mean.
    low: The number that 5 % do not exceed.
    median: The number that half do not exceed.
    high: The number that 95 % do not exceed.
  """

  mean: float
  low: float
  median: float
  high: float

  @classmethod
  def of(cls, counts: Mapping[int | Fraction, int]) -> "Spread":
    """Describes numbers by how often each came.

    >>> Spread.of({3: 1, 5: 2, 8: 1})
    Spread(mean=5.25, low=3.0, median=5.0, high=8.0)
    """
    values = sorted(counts)
    ends = np.cumsum([counts[value] for value in values])
    total = int(ends[-1])
    mean = sum(value * count for value, count in counts.items()) / total
    low, median, high = (
      float(values[int(np.searchsorted(ends, -(-total * share // 100)))])
      for share in (5, 50, 95)
    )
    return cls(mean=float(mean), low=low, median=median, high=high)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
  """What a set of queries is like.

  Attributes:
    documents: Documents of the collection.
    with_queries: Documents that have a query.
    queries: Queries.
    distinct: Different texts among them.
    shared: Different texts that are queries of several documents.
    same: Queries that repeat the text of one before them of their document.
    near: Queries that nearly repeat one before them of their document.
    verbatim: Queries that stand in their document, word by word.
    copied: Of the longest n-gram that a query shares with its document, the
      share of the query's words.
    words: Words a query.
    a_document: Queries a document, of those that have one.
    overlap: Split -> queries that are also asked there.
    log_probability: Mean of those that have one; None where none has.
    generators: What made them -> queries.
    grades: The grade they were asked for -> queries, where there is one.
    words_histogram: Words -> queries.
    copied_histogram: Queries whose share of copied words lies in each of
      COPIED_BINS equal parts over 0 and up to 1; none at all in the first.
    a_document_histogram: Queries -> documents, 0 among them.
  """

  documents: int
  with_queries: int
  queries: int
  distinct: int
  shared: int
  same: int
  near: int
  verbatim: int
  copied: Spread
  words: Spread
  a_document: Spread
  overlap: Mapping[str, Overlap]
  log_probability: float | None
  generators: Mapping[str, int]
  grades: Mapping[int, int]
  words_histogram: Mapping[int, int]
  copied_histogram: Sequence[int]
  a_document_histogram: Mapping[int, int]


def describe(
  groups: Iterable[Group],
  *,
  num_documents: int,
  overlap: Mapping[str, Overlap] | None = None,
  near_duplicates: float = 0.8,
) -> Description:
  """Describes the queries of a collection.

  >>> house = Document(docno="d1", title="", text="The house of glass burnt.")
  >>> queries = [
  ...   SyntheticQuery(docno="d1", text=text)
  ...   for text in ("house of glass", "Why did the house burn?")
  ... ]
  >>> found = describe([(house, queries)], num_documents=4)
  >>> found.with_queries, found.verbatim, found.copied.mean, found.words.mean
  (1, 1, 0.7, 4.0)

  In memory are 8 bytes a query, and one document with its queries.

  Args:
    groups: Documents that have queries, each once, and their queries.
    num_documents: Of the collection.
    overlap: As `overlap.count` gives it; None: there is nothing to compare.
    near_duplicates: Queries are near duplicates from this Jaccard similarity
      of their words on.

  Returns:
    The description.
  """
  counts = _Counts(near_duplicates)
  for document, queries in groups:
    counts.add(document, queries)
  return counts.description(num_documents, overlap or {})


class _Counts:
  """What is counted of queries, document by document."""

  def __init__(self, near_duplicates: float):
    self._near_duplicates = near_duplicates
    self._words: Counter[int] = Counter()
    self._copied: Counter[Fraction] = Counter()
    self._a_document: Counter[int] = Counter()
    self._repeats: Counter[str] = Counter()
    self._generators: Counter[str] = Counter()
    self._grades: Counter[int] = Counter()
    self._log_probabilities: Counter[str] = Counter()
    self._texts = array("Q")

  def add(self, document: Document, queries: Sequence[SyntheticQuery]) -> None:
    """Counts the queries of a document."""
    self._a_document[len(queries)] += 1
    texts = [query.text for query in queries]
    self._repeats.update(repeats(texts, threshold=self._near_duplicates))
    keys = [normalise_query(text) for text in texts]
    self._texts.extend({_hash(key) for key in keys})
    where = places(words(document.contents))
    for query, key in zip(queries, keys, strict=True):
      self._add_query(query, words(key), where)

  def _add_query(
    self,
    query: SyntheticQuery,
    found: Sequence[str],
    where: Mapping[str, Sequence[int]],
  ) -> None:
    self._words[len(found)] += 1
    run = longest_run(found, where)
    self._copied[Fraction(run, len(found) or 1)] += 1
    self._generators[query.generator] += 1
    if query.grade is not None:
      self._grades[query.grade] += 1
    if query.log_probability is not None:
      self._log_probabilities["sum"] += query.log_probability
      self._log_probabilities["number"] += 1

  def description(
    self, num_documents: int, overlap: Mapping[str, Overlap]
  ) -> Description:
    """Returns what was counted."""
    _, times = np.unique(np.array(self._texts, np.uint64), return_counts=True)
    with_queries = self._a_document.total()
    return Description(
      documents=num_documents,
      with_queries=with_queries,
      queries=self._words.total(),
      distinct=len(times),
      shared=int((times > 1).sum()),
      same=self._repeats["same"],
      near=self._repeats["near"],
      verbatim=self._copied[Fraction(1)],
      copied=Spread.of(self._copied),
      words=Spread.of(self._words),
      a_document=Spread.of(self._a_document),
      overlap=overlap,
      log_probability=self._log_probability(),
      generators=_sorted(self._generators),
      grades=_sorted(self._grades),
      words_histogram=_sorted(self._words),
      copied_histogram=_copied_histogram(self._copied),
      a_document_histogram=_sorted(
        self._a_document + Counter({0: num_documents - with_queries})
      ),
    )

  def _log_probability(self) -> float | None:
    number = self._log_probabilities["number"]
    return self._log_probabilities["sum"] / number if number else None


def _hash(key: str) -> int:
  digest = hashlib.blake2b(key.encode("utf-8"), digest_size=8).digest()
  return int.from_bytes(digest)


def _sorted(counts: Mapping) -> dict:
  return {key: counts[key] for key in sorted(counts)}


def _copied_histogram(copied: Mapping[Fraction, int]) -> list[int]:
  out = [0] * COPIED_BINS
  for share, count in copied.items():
    out[max(math.ceil(share * COPIED_BINS) - 1, 0)] += count
  return out
