"""Tokenised examples in flat arrays, and what every task has in common.

Nothing here imports TensorFlow.
"""

import array
import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from genret.core.collection import Collection
from genret.core.errors import ConfigError
from genret.core.text import Tokenizer

_BATCH = 1024  # texts tokenised at a time


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
  """Inputs and the documents they stand for, E of them, end to end.

  >>> examples = Examples.collect(
  ...   [(7, [5, 6]), (8, [9, 9, 9, 9])], input_length=4
  ... )
  >>> examples.tokens.tolist()
  [5, 6, 1, 9, 9, 9, 1]
  >>> examples.offsets.tolist(), examples.documents.tolist()
  ([0, 3, 7], [7, 8])
  >>> examples.num_truncated
  1

  Attributes:
    tokens: uint16 [S], the inputs of all examples, each ending with EOS.
    offsets: int64 [E + 1], where each begins, and where the last ends.
    documents: int32 [E], the document of each: its row in the collection.
    num_truncated: how many lost ids because they were too long.
  """

  tokens: np.ndarray
  offsets: np.ndarray
  documents: np.ndarray
  num_truncated: int = 0

  @classmethod
  def collect(
    cls, rows: Iterable[tuple[int, Sequence[int]]], *, input_length: int
  ) -> "Examples":
    """Gathers rows of ids, cuts the long ones, and ends each with EOS.

    Args:
      rows: pairs of a document's row and ids without EOS; pairs without
        ids are no examples and are left out.
      input_length: the most ids an input may have, EOS included.

    Returns:
      The examples, in order.
    """
    tokens, lengths = array.array("H"), array.array("i")
    documents = array.array("i")
    num_truncated = 0
    for document, ids in rows:
      if not ids:
        continue
      num_truncated += len(ids) > input_length - 1
      tokens.extend(ids[: input_length - 1])
      tokens.append(Tokenizer.eos_id)
      lengths.append(min(len(ids) + 1, input_length))
      documents.append(document)
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(np.asarray(lengths), out=offsets[1:])
    return cls(
      tokens=np.asarray(tokens, np.uint16),
      offsets=offsets,
      documents=np.asarray(documents, np.int32),
      num_truncated=num_truncated,
    )

  @property
  def num_examples(self) -> int:
    """E."""
    return len(self.documents)

  @functools.cached_property
  def lengths(self) -> np.ndarray:
    """Ids of each input, int64 [E]."""
    return np.diff(self.offsets)

  def __getitem__(self, i: int) -> np.ndarray:
    """Returns the input of one example."""
    return self.tokens[self.offsets[i] : self.offsets[i + 1]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskConfig:
  """What a task reads, and its share of a mixture.

  Attributes:
    rate: its mixing rate; examples are drawn in proportion to the rates.
    token_dropout: the least and the most share of an input's tokens that
      are left out, anew each time an example is read; each time the share
      is drawn from this range. EOS stays, and so does an input that would
      be left with nothing.
    name: its name in the mixture, which no other task of the mixture has.
  """

  rate: float
  token_dropout: tuple[float, float] = (0.0, 0.0)
  name: str = "task"

  def __post_init__(self):
    self.check(
      _is_number(self.rate) and 0 < self.rate < math.inf,
      f"rate must be a number over 0 and {self.rate!r} came; leave a task "
      "out of the mixture to not train on it",
    )
    dropout = self.token_dropout
    pair = isinstance(dropout, tuple | list) and len(dropout) == 2
    self.check(
      pair
      and all(map(_is_number, dropout))
      and 0 <= dropout[0] <= dropout[1] < 1,
      f"token_dropout must be two shares, 0 <= least <= most < 1, as in "
      f"(0.3, 0.7); {dropout!r} came",
    )
    object.__setattr__(self, "token_dropout", tuple(dropout))

  @property
  def split(self) -> str:
    """The split of the collection whose examples these are."""
    return "train"

  def rows(
    self, collection: Collection, tokenizer: Tokenizer
  ) -> Iterator[tuple[int, Sequence[int]]]:
    """Yields pairs of a document's row and the ids of an input for it."""
    raise NotImplementedError

  def examples(
    self, collection: Collection, tokenizer: Tokenizer, *, input_length: int
  ) -> Examples:
    """Reads a collection and tokenises all inputs of this task.

    Args:
      collection: what to read.
      tokenizer: turns text into ids.
      input_length: the most ids an input may have, EOS included.

    Returns:
      The examples, in the order of the collection's files.

    Raises:
      ConfigError: there is none.
    """
    rows = self.rows(collection, tokenizer)
    examples = Examples.collect(rows, input_length=input_length)
    if not examples.num_examples:
      raise ConfigError(
        f"Task {self.name!r} finds no example in collection "
        f"{collection.name!r}. Its settings are {self}."
      )
    return examples

  def content(self) -> dict[str, Any]:
    """Returns the settings that decide which examples there are."""
    fields = dataclasses.asdict(self)
    del fields["rate"]
    return fields

  def check(self, right: bool, message: str) -> None:
    """Raises a ConfigError that names this task, unless all is right."""
    if not right:
      raise ConfigError(f"{type(self).__name__} {self.name!r}: {message}.")


def encode_texts(
  texts: Iterable[tuple[int, str]], tokenizer: Tokenizer
) -> Iterator[tuple[int, list[int]]]:
  """Tokenises many texts, uncut and without EOS, and keeps their keys.

  >>> list(encode_texts([(3, "The house"), (5, "")], Tokenizer()))
  [(3, [37, 629]), (5, [])]

  Args:
    texts: pairs of a key and a text.
    tokenizer: turns text into ids.

  Yields:
    Pairs of a key and ids, in order.
  """
  keys: list[int] = []
  batch: list[str] = []
  for key, text in texts:
    keys.append(key)
    batch.append(text)
    if len(batch) == _BATCH:
      yield from zip(keys, _encode(batch, tokenizer), strict=True)
      keys, batch = [], []
  yield from zip(keys, _encode(batch, tokenizer), strict=True)


def _encode(texts: list[str], tokenizer: Tokenizer) -> list[list[int]]:
  return tokenizer.encode(texts, max_length=1 << 30, eos=False)


def _is_number(value: object) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)
