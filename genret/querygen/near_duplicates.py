"""Queries of one document that say nearly the same."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from genret.core.errors import ConfigError
from genret.core.text import normalise_query
from genret.querygen.words import words

Repeat = Literal["first", "same", "near"]
"""What a query is to those before it: new, of equal text, or nearly equal."""


def check_threshold(threshold: float | None) -> None:
  """Raises a ConfigError unless a share over 0 and up to 1, or None."""
  if threshold is not None and not 0 < threshold <= 1:
    raise ConfigError(
      "queries are near duplicates from a share of common words on, over 0"
      f" and up to 1, or None to let them be; {threshold} came."
    )


def repeats(
  texts: Sequence[str], *, threshold: float | None = 0.8
) -> list[Repeat]:
  """Says of each query whether one before it says the same.

  Queries are the same if their texts are, but for case, white space and
  Unicode form; they are near duplicates if the Jaccard similarity of their
  sets of words is at least the threshold. The first one stays: a query is
  compared with those that stayed, not with those that were found to repeat.

  >>> repeats(
  ...   [
  ...     "Who built the old bridge?",
  ...     "who built  the old bridge?",
  ...     "who has built the old bridge",
  ...     "when was the old bridge built",
  ...   ]
  ... )
  ['first', 'same', 'near', 'first']

  Nothing is missed as MinHash would: two sets of similarity t or more share
  one of the rarest (1 - t) of their words and one, so only queries that do
  are compared, which is few.

  Args:
    texts: the queries of one document.
    threshold: the least similarity of near duplicates, up to 1; None: only
      the same texts repeat each other.

  Returns:
    One word a query.

  Raises:
    ConfigError: the threshold is out of range.
  """
  check_threshold(threshold)
  keys = [normalise_query(text) for text in texts]
  known: set[str] = set()
  out: list[Repeat] = []
  stayed = None if threshold is None else _Stayed(keys, threshold)
  for key in keys:
    if key in known:
      out.append("same")
      continue
    known.add(key)
    near = stayed is not None and stayed.has_near(key)
    out.append("near" if near else "first")
  return out


def jaccard(a: set[str], b: set[str]) -> float:
  """Returns the share of common words among all of two sets.

  >>> jaccard({"old", "bridge"}, {"old", "bridge", "built"})
  0.6666666666666666
  """
  common = len(a & b)
  return common / (len(a) + len(b) - common)


class _Stayed:
  """Queries that stayed, found again by the rarest of their words."""

  def __init__(self, keys: Sequence[str], threshold: float):
    self._threshold = threshold
    counts = Counter(word for key in set(keys) for word in set(words(key)))
    order = sorted(counts, key=lambda word: (counts[word], word))
    self._ranks = {word: rank for rank, word in enumerate(order)}
    self._with: dict[str, list[set[str]]] = {}

  def has_near(self, key: str) -> bool:
    """Looks for a near duplicate of a query; without one it stays."""
    found = set(words(key))
    if not found:
      return False
    rarest = sorted(found, key=self._ranks.__getitem__)
    # Sets that are near share a word among the first of either.
    common = math.ceil(self._threshold * len(found) - 1e-9)
    first = rarest[: len(found) - common + 1]
    if any(
      jaccard(found, other) >= self._threshold
      for word in first
      for other in self._with.get(word, ())
    ):
      return True
    for word in first:
      self._with.setdefault(word, []).append(found)
    return False
