"""Terms of a text, and how much each is worth by BM25."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import Stemmer

_WORD = re.compile(r"\w+")
# Those of Lucene, which bm25s takes as well.
STOP_WORDS = frozenset(
  "a an and are as at be but by for if in into is it no not of on or such that "
  "the their then there these they this to was will with".split()
)
_STEMMER = Stemmer.Stemmer("english")

# As retrieval.bm25 has them.
K1 = 0.9
B = 0.4


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
  """The words of a text.

  Attributes:
    terms: what each counts as: its stem; None for a stop word and for a
      single character, which count for nothing.
    starts: where each begins, in characters.
    ends: and where it ends.
  """

  terms: Sequence[str | None]
  starts: Sequence[int]
  ends: Sequence[int]


def words(text: str) -> Words:
  """Cuts a text into words, and stems them as BM25 does.

  >>> found = words("The cats' towers sleep.")
  >>> found.terms, found.starts, found.ends
  ([None, 'cat', 'tower', 'sleep'], [0, 4, 10, 17], [3, 8, 16, 22])

  Args:
    text: a text.
  """
  found = list(_WORD.finditer(text))
  lower = [match[0].lower() for match in found]
  stems = _STEMMER.stemWords(lower)
  return Words(
    terms=[
      None if len(word) < 2 or word in STOP_WORDS else stem
      for word, stem in zip(lower, stems, strict=True)
    ],
    starts=[match.start() for match in found],
    ends=[match.end() for match in found],
  )


@dataclass(frozen=True, kw_only=True)
class TermStatistics:
  """What BM25 needs to know of a corpus.

  Attributes:
    num_documents: N.
    mean_length: terms of a document, on average.
    frequencies: term -> how many documents have it.
  """

  num_documents: int
  mean_length: float
  frequencies: Mapping[str, int]

  @classmethod
  def count(cls, texts: Iterable[str]) -> "TermStatistics":
    """Counts in one pass; in memory is one number a distinct term.

    >>> found = TermStatistics.count(["The cat sleeps.", "Cats, cats!"])
    >>> found.num_documents, found.mean_length, dict(found.frequencies)
    (2, 2.0, {'cat': 2, 'sleep': 1})
    """
    frequencies: Counter[str] = Counter()
    num_documents = num_terms = 0
    for text in texts:
      terms = [term for term in words(text).terms if term is not None]
      frequencies.update(list(dict.fromkeys(terms)))
      num_documents += 1
      num_terms += len(terms)
    return cls(
      num_documents=num_documents,
      mean_length=num_terms / max(num_documents, 1),
      frequencies=frequencies,
    )

  def weights(self, found: Words) -> dict[str, float]:
    """Weighs the terms of a document, as Lucene's BM25 scores them.

    >>> corpus = TermStatistics.count(["The cat sleeps.", "Cats, cats!"])
    >>> weights = corpus.weights(words("The cat sleeps."))
    >>> [(term, round(weight, 3)) for term, weight in weights.items()]
    [('cat', 0.096), ('sleep', 0.365)]

    Args:
      found: the words of one of the documents that were counted.

    Returns:
      Term -> idf · tf / (tf + k1 · (1 - b + b · length / mean length)), in
      the order of the text.
    """
    counts = Counter(term for term in found.terms if term is not None)
    length = counts.total() / max(self.mean_length, 1e-9)
    norm = K1 * (1 - B + B * length)
    return {
      term: self._idf(term) * count / (count + norm)
      for term, count in counts.items()
    }

  def _idf(self, term: str) -> float:
    have = self.frequencies.get(term, 0)
    return math.log1p((self.num_documents - have + 0.5) / (have + 0.5))
