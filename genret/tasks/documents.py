"""The first tokens of every document, where a model reads documents whole.

Nothing here imports TensorFlow.
"""

import dataclasses

import numpy as np

from genret.core import text
from genret.core.collection import Collection
from genret.core.errors import ConfigError
from genret.core.fingerprints import fingerprints
from genret.tasks.examples import Examples
from genret.tasks.indexing import FirstP
from genret.tasks.stream import take


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Documents:
  """What a model reads of each of N documents.

  >>> documents = Documents.of(
  ...   Examples.collect([(0, [5, 6]), (2, [5, 6])], input_length=4), 3
  ... )
  >>> documents.padded(np.array([2, 1]), 4).tolist()
  [[5, 6, 1, 0], [1, 0, 0, 0]]
  >>> documents.numbers[0] == documents.numbers[2]
  np.True_

  Attributes:
    examples: the tokens of those that have any.
    chosen: int64 [N], which of the examples is a document's; -1 for none.
    numbers: int32 [N], the same for documents of the same tokens.
    bare: ids of a document without text, start and end.
  """

  examples: Examples
  chosen: np.ndarray
  numbers: np.ndarray
  bare: tuple[int, ...] = (text.Tokenizer.end_id,)

  @classmethod
  def read(
    cls, collection: Collection, *, vocabulary: str, length: int
  ) -> "Documents":
    """Tokenises the documents of a collection.

    Args:
      collection: whose documents, title first.
      vocabulary: the name of the one that turns text into ids.
      length: the most ids of a document, start and end included.

    Raises:
      ConfigError: there is no room for a token.
    """
    opened = text.vocabulary(vocabulary)
    bare = (*opened.start_ids, opened.end_id)
    if length <= len(bare):
      raise ConfigError(
        f"Documents are read up to {length} tokens; expected at least"
        f" {len(bare) + 1}, markers included."
      )
    task = FirstP(rate=1.0, num_tokens=length - len(bare), name="documents")
    examples = task.examples(collection, opened, input_length=length)
    return cls.of(examples, collection.num_documents, bare=bare)

  @classmethod
  def of(
    cls,
    examples: Examples,
    count: int,
    *,
    bare: tuple[int, ...] = (text.Tokenizer.end_id,),
  ) -> "Documents":
    """Takes the tokens of documents, at most one example each.

    Args:
      examples: in any order.
      count: N.
      bare: ids of a document without an example.
    """
    chosen = np.full(count, -1, np.int64)
    chosen[examples.documents] = np.arange(examples.num_examples)
    _, same = np.unique(keys(examples), return_inverse=True)
    numbers = np.where(chosen < 0, -1, same[chosen]).astype(np.int32) + 1
    return cls(examples=examples, chosen=chosen, numbers=numbers, bare=bare)

  @property
  def count(self) -> int:
    """N."""
    return len(self.chosen)

  @property
  def longest(self) -> int:
    """Ids of the longest document."""
    return max(self.examples.longest, len(self.bare))

  def lengths(self, rows: np.ndarray) -> np.ndarray:
    """Returns how many ids some documents have, int64, shaped as the rows."""
    chosen, offsets = self.chosen[rows], self.examples.offsets
    lengths = offsets[chosen + 1] - offsets[chosen]
    return np.where(chosen < 0, len(self.bare), lengths)

  def places(self, rows: np.ndarray, length: int) -> np.ndarray:
    """Returns where the tokens of some documents lie, counted from 1.

    Args:
      rows: their rows in the collection, [M].
      length: L, at least that of the longest of them.

    Returns:
      int64 [M, L], 0 after them and where a document has no text.
    """
    known = np.flatnonzero(self.chosen[rows] >= 0)
    chunk = take(self.examples, self.chosen[rows][known], first_place=1)
    out = np.zeros((len(rows), length), np.int64)
    return pad(chunk.places, chunk.lengths, out=out, rows=known)

  def padded(self, rows: np.ndarray, length: int) -> np.ndarray:
    """Returns the ids of some documents, int32 [M, L], zeros after them.

    Args:
      rows: their rows in the collection, [M].
      length: L, at least that of the longest of them.
    """
    out = np.zeros((len(rows), length), np.int32)
    out[:, : len(self.bare)] = self.bare
    known = np.flatnonzero(self.chosen[rows] >= 0)
    chunk = take(self.examples, self.chosen[rows][known])
    return pad(chunk.tokens, chunk.lengths, out=out, rows=known)


def keys(examples: Examples) -> np.ndarray:
  """Returns a number of each input, uint64 [E], the same for the same ids."""
  octets = np.ascontiguousarray(examples.tokens).view(np.uint8)
  return fingerprints(octets, np.asarray(examples.offsets) * 2)


def pad(
  tokens: np.ndarray,
  lengths: np.ndarray,
  *,
  out: np.ndarray,
  rows: np.ndarray | None = None,
) -> np.ndarray:
  """Writes rows of ids that lie end to end into an array of zeros.

  >>> ids, lengths = np.array([7, 8, 1, 9, 1]), np.array([3, 2])
  >>> pad(ids, lengths, out=np.zeros((2, 4), int)).tolist()
  [[7, 8, 1, 0], [9, 1, 0, 0]]

  Args:
    tokens: [S].
    lengths: of each row of ids.
    out: [M, L], written to.
    rows: of `out`, one for each row of ids; None for the first ones.

  Returns:
    `out`.
  """
  rows = np.arange(len(lengths)) if rows is None else rows
  within = np.arange(len(tokens))
  within -= np.repeat(np.cumsum(lengths) - lengths, lengths)
  out[np.repeat(rows, lengths), within] = tokens
  return out
