"""Pairs of a text and its document, and what must not count against them.

A model that compares texts with documents learns from the documents of other
texts. Some of these are no wrong answers: the same document, one that reads
the same, or another right answer to the same text. Each document has a number,
the same for those that read the same, and each text the numbers of all that
are right. Nothing here imports TensorFlow.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from genret.tasks import documents as documents_of
from genret.tasks.documents import Documents
from genret.tasks.stream import Ingredient

MOST_KNOWN = 16  # right answers that are remembered of a text


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
  """The examples of several tasks, E in all, and the documents they name.

  Attributes:
    ingredients: the tasks, their tokens with places; see
      `feed.ingredients`.
    documents: what the other side of the model reads.
  """

  ingredients: Sequence[Ingredient]
  documents: Documents

  @functools.cached_property
  def ends(self) -> np.ndarray:
    """Where the examples of each task end among all, int64."""
    return np.cumsum([one.examples.num_examples for one in self.ingredients])

  @property
  def num_examples(self) -> int:
    """E."""
    return int(self.ends[-1])

  @property
  def num_tokens(self) -> int:
    """Ids of all texts together."""
    return sum(len(one.examples.tokens) for one in self.ingredients)

  @property
  def longest(self) -> int:
    """Ids of the longest text."""
    return max(one.examples.longest for one in self.ingredients)

  def find(self, places: np.ndarray) -> np.ndarray:
    """Returns the numbers of examples, from the place of a token of each."""
    firsts = np.array([one.first_place for one in self.ingredients])
    owners = np.searchsorted(firsts, places, side="right") - 1
    found = np.empty(len(places), np.int64)
    for owner, one in enumerate(self.ingredients):
      own = owners == owner
      inside = places[own] - one.first_place
      place = np.searchsorted(one.examples.offsets, inside, side="right") - 1
      found[own] = place + self.ends[owner] - one.examples.num_examples
    return found

  def known(self, examples: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the numbers of all documents that are right for some texts.

    Args:
      examples: which, int64 [B].
      rows: the document of each.

    Returns:
      int32 [B, P], -1 where there are fewer; the first is the document's own.
    """
    own = self.documents.numbers[rows][:, None]
    groups, table = self._shared
    if not len(table):
      return own
    group = groups[examples]
    others = np.where(group[:, None] < 0, -1, table[group])
    return np.concatenate([own, others], axis=1)

  @functools.cached_property
  def _shared(self) -> tuple[np.ndarray, np.ndarray]:
    """Group of each text that has several right documents, and their numbers.

    Returns:
      int32 [E], -1 for a text with one; int32 [G, P], filled up with -1.
    """
    every = [one.examples for one in self.ingredients]
    same = np.concatenate([documents_of.keys(one) for one in every])
    numbers = self.documents.numbers[document_rows(self)]
    order = np.lexsort((numbers, same))
    same, numbers = same[order], numbers[order]
    opens = np.append(True, same[1:] != same[:-1])  # a text
    fresh = opens | np.append(True, numbers[1:] != numbers[:-1])
    text = np.cumsum(opens) - 1
    counts = np.bincount(text[fresh])
    several = counts > 1
    group_of = np.where(several, np.cumsum(several) - 1, -1)
    width = min(int(counts[several].max(initial=0)), MOST_KNOWN)
    table = np.full((int(several.sum()), width), -1, np.int32)
    starts = np.cumsum(counts) - counts
    for column in range(width):
      has = several & (counts > column)
      table[group_of[has], column] = numbers[fresh][starts[has] + column]
    groups = np.empty(len(order), np.int32)
    groups[order] = group_of[text]
    return groups, table


def texts(pairs: Pairs) -> Iterator[np.ndarray]:
  """Yields the ids of each text, in order."""
  for one in pairs.ingredients:
    yield from (one.examples[i] for i in range(one.examples.num_examples))


def document_rows(pairs: Pairs) -> np.ndarray:
  """Returns the row of the document of each text, int32 [E]."""
  every = [one.examples.documents for one in pairs.ingredients]
  return np.concatenate([np.asarray(rows) for rows in every])
