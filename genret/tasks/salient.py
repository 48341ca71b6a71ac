"""Pseudo-queries without a model: terms and n-grams that BM25 weighs most.

DynamicRetriever (Zhou et al., 2022, arXiv 2203.00537) learns docids from
passages, from terms sampled of a document and from its n-grams. Here both are
chosen by the weight that BM25 gives a term in the document. What is drawn for
a document is a function of the seed and its row; document frequencies are
counted over the collection first, in one pass.

Nothing here imports TensorFlow.
"""

import abc
import dataclasses
import heapq
import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from genret.core import terms
from genret.core.collection import Collection
from genret.core.terms import TermStatistics, Words
from genret.tasks.examples import Texts, in_blocks
from genret.tasks.pages import DrawnTask

_GAP = re.compile(r"[ \t]+|[-'’]")  # what parts two words of an n-gram


@dataclasses.dataclass(frozen=True, kw_only=True)
class SalientTask(DrawnTask):
  """A task of pseudo-queries, made by the weights of a document's terms.

  Attributes:
    title: whether the title is part of the document.
  """

  title: bool = True

  def texts(self, collection: Collection) -> Iterator[Texts]:
    """Yields the pseudo-queries of each document."""
    return in_blocks(self._pairs(collection))

  @abc.abstractmethod
  def queries(
    self, text: str, statistics: TermStatistics, row: int
  ) -> list[str]:
    """Makes the pseudo-queries of a document."""

  def _pairs(self, collection: Collection) -> Iterator[tuple[int, str]]:
    bar = tqdm(
      self._contents(collection),
      desc=f"count terms for {self.name}",
      total=collection.num_documents,
      unit=" documents",
      delay=2,
    )
    statistics = TermStatistics.count(bar)
    for row, text in enumerate(self._contents(collection)):
      for query in self.queries(text, statistics, row):
        yield row, query

  def _contents(self, collection: Collection) -> Iterator[str]:
    for document in collection.documents():
      yield document.contents if self.title else document.text


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampledTerms(SalientTask):
  """Some terms of each document, sampled by their weight.

  Attributes:
    num_queries: pseudo-queries of a document.
    num_terms: different terms in each; fewer where there are no more.
  """

  num_queries: int = 5
  num_terms: int = 5
  name: str = "terms"
  stream: ClassVar[int] = 7

  def __post_init__(self):
    super().__post_init__()
    self.check_counts("num_queries", "num_terms")

  def queries(
    self, text: str, statistics: TermStatistics, row: int
  ) -> list[str]:
    """Samples the pseudo-queries of a document."""
    found = terms.words(text)
    weights = statistics.weights(found)
    rng = self.rng(row)
    drawn = (
      sampled_terms(text, found, weights, num_terms=self.num_terms, rng=rng)
      for _ in range(self.num_queries)
    )
    return list(filter(None, drawn))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SalientNgrams(SalientTask):
  """The n-grams of each document whose terms weigh most; nothing is drawn.

  Attributes:
    num_ngrams: at most so many of a document, heaviest first.
    min_words: the fewest words of one.
    max_words: the most.
  """

  num_ngrams: int = 5
  min_words: int = 2
  max_words: int = 3
  name: str = "ngrams"
  stream: ClassVar[int] = 8

  def __post_init__(self):
    super().__post_init__()
    self.check_counts("num_ngrams", "min_words")
    self.check(
      self.min_words <= self.max_words, "min_words <= max_words must hold"
    )

  def queries(
    self, text: str, statistics: TermStatistics, row: int
  ) -> list[str]:
    """Chooses the n-grams of a document."""
    del row
    found = terms.words(text)
    return salient_ngrams(
      text,
      found,
      statistics.weights(found),
      count=self.num_ngrams,
      min_words=self.min_words,
      max_words=self.max_words,
    )


def sampled_terms(
  text: str,
  found: Words,
  weights: Mapping[str, float],
  *,
  num_terms: int,
  rng: np.random.Generator,
) -> str:
  """Samples different terms of a text, in proportion to their weights.

  >>> text = "The tower stands by the river."
  >>> weights = {"tower": 2.0, "stand": 1.0, "river": 1.5}
  >>> rng = np.random.default_rng(0)
  >>> sampled_terms(text, terms.words(text), weights, num_terms=2, rng=rng)
  'tower river'

  Args:
    text: the text.
    found: its words.
    weights: term -> its weight, over 0.
    num_terms: how many; all where there are fewer.
    rng: the source of randomness.

  Returns:
    The words by which the terms first stand in the text, in its order.
  """
  first: dict[str, int] = {}
  for i, term in enumerate(found.terms):
    if term is not None:
      first.setdefault(term, i)
  known = list(first)
  # The least of exponential times, each at the rate of its weight.
  rates = np.array([weights[term] for term in known])
  times = rng.exponential(size=len(known)) / rates
  chosen = np.argsort(times, kind="stable")[:num_terms]
  places = sorted(first[known[i]] for i in chosen)
  return " ".join(text[found.starts[i] : found.ends[i]] for i in places)


def salient_ngrams(
  text: str,
  found: Words,
  weights: Mapping[str, float],
  *,
  count: int,
  min_words: int,
  max_words: int,
) -> list[str]:
  """Chooses the n-grams whose different terms weigh most together.

  An n-gram begins and ends with a term that counts, may have stop words
  between, and crosses neither punctuation nor a line. No two share a word of
  the text, or have the same terms.

  >>> text = "The tower of London stands by the river; London is old."
  >>> weights = {"tower": 2.0, "london": 1.5, "stand": 1.0, "river": 1.5,
  ...            "old": 0.5}
  >>> salient_ngrams(text, terms.words(text), weights, count=3, min_words=2,
  ...                max_words=3)
  ['tower of London', 'London is old']

  Args:
    text: the text.
    found: its words.
    weights: term -> its weight.
    count: at most so many.
    min_words: the fewest words of one.
    max_words: the most.

  Returns:
    The n-grams, heaviest first; of equals the first in the text.
  """
  heap = []
  for start in range(len(found.terms)):
    for size in _sizes(text, found, start=start, most=max_words):
      if size >= min_words:
        own = {t for t in found.terms[start : start + size] if t is not None}
        weight = sum(weights[term] for term in sorted(own))
        heap.append((-weight, start, size))
  heapq.heapify(heap)
  used, known, out = set(), set(), []
  while heap and len(out) < count:
    _, start, size = heapq.heappop(heap)
    places = range(start, start + size)
    own = frozenset(found.terms[start : start + size])
    if own in known or not used.isdisjoint(places):
      continue
    used.update(places)
    known.add(own)
    out.append(text[found.starts[start] : found.ends[start + size - 1]])
  return out


def _sizes(text: str, found: Words, *, start: int, most: int) -> Iterator[int]:
  """Yields how many words an n-gram that begins with a word may have."""
  if found.terms[start] is None:
    return
  yield 1
  behind = range(start + 1, min(start + most, len(found.terms)))
  for i in behind:
    if not _GAP.fullmatch(text, found.ends[i - 1], found.starts[i]):
      return
    if found.terms[i] is not None:
      yield i - start + 1
