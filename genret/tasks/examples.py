"""Tokenised examples in flat arrays, and what every task has in common.

Nothing here imports TensorFlow.
"""

import abc
import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genret.core import text
from genret.core.collection import Collection
from genret.core.errors import ConfigError
from genret.core.text import Vocabulary

BLOCK_TEXTS = 4096  # tokenised at a time
_BATCH = 1024
_SCANNED = 1 << 20  # numbers of a mapped array looked at at a time


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

  The arrays may be mapped from disk, and then be larger than memory: read
  them in parts.

  Attributes:
    tokens: uint16 [S], the inputs of all examples, each between the start
      and end ids of its vocabulary; T5's has no start.
    offsets: int64 [E + 1], where each begins, and where the last ends.
    documents: int32 [E], the document of each: its row in the collection.
    num_truncated: how many lost ids because they were too long.
    num_start: with how many start ids each input begins.
    states: float16 [S, H], what the model's frozen part makes of each token;
      None where it is not kept.
    folder: where the arrays are mapped from; None when in memory.
  """

  tokens: np.ndarray
  offsets: np.ndarray
  documents: np.ndarray
  num_truncated: int = 0
  num_start: int = 0
  states: np.ndarray | None = None
  folder: Path | None = None

  @classmethod
  def collect(
    cls,
    rows: Iterable[tuple[int, Sequence[int]]],
    *,
    input_length: int,
    start_ids: Sequence[int] = (),
    end_id: int = text.Tokenizer.end_id,
  ) -> "Examples":
    """Gathers rows of ids, cuts the long ones, adds start and end.

    Args:
      rows: pairs of a document's row and its bare ids; pairs without ids
        are no examples and are left out.
      input_length: the most ids an input may have, start and end included.
      start_ids: of the vocabulary.
      end_id: of the vocabulary; T5's EOS.

    Returns:
      The examples, in order.
    """
    kept = [(document, ids) for document, ids in rows if len(ids)]
    whole = np.fromiter((len(ids) for _, ids in kept), np.int64, len(kept))
    all_ids = itertools.chain.from_iterable(ids for _, ids in kept)
    flat = np.fromiter(all_ids, np.uint16, whole.sum())
    markers = len(start_ids) + 1
    lengths = np.minimum(whole, input_length - markers)
    within = np.arange(len(flat)) - np.repeat(np.cumsum(whole) - whole, whole)
    offsets = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(lengths + markers, out=offsets[1:])
    tokens = np.empty(offsets[-1], np.uint16)
    inner = np.ones(len(tokens), bool)
    places = [offsets[:-1] + i for i in range(len(start_ids))]
    for at, marker in zip(
      [*places, offsets[1:] - 1], [*start_ids, end_id], strict=True
    ):
      tokens[at] = marker
      inner[at] = False
    tokens[inner] = flat[within < np.repeat(lengths, whole)]
    return cls(
      tokens=tokens,
      offsets=offsets,
      documents=np.fromiter((d for d, _ in kept), np.int32, len(kept)),
      num_truncated=int((whole > lengths).sum()),
      num_start=len(start_ids),
    )

  @classmethod
  def joined(cls, blocks: Iterable["Examples"]) -> "Examples":
    """Puts blocks of examples end to end, in memory."""
    blocks = list(blocks) or [cls.collect([], input_length=2)]
    lengths = np.concatenate([block.lengths for block in blocks])
    return cls(
      tokens=np.concatenate([block.tokens for block in blocks]),
      offsets=np.append(0, np.cumsum(lengths)),
      documents=np.concatenate([block.documents for block in blocks]),
      num_truncated=sum(block.num_truncated for block in blocks),
      num_start=blocks[0].num_start,
    )

  @property
  def num_examples(self) -> int:
    """E."""
    return len(self.documents)

  @property
  def lengths(self) -> np.ndarray:
    """Ids of each input, int64 [E], computed anew."""
    return np.diff(self.offsets)

  @property
  def longest(self) -> int:
    """Ids of the longest input."""
    return max(
      int(np.diff(self.offsets[i : i + _SCANNED + 1]).max())
      for i in range(0, self.num_examples, _SCANNED)
    )

  def num_covered(self, num_documents: int) -> int:
    """Counts the documents, of so many, that have an example."""
    covered = np.zeros(num_documents, bool)
    for i in range(0, self.num_examples, _SCANNED):
      covered[self.documents[i : i + _SCANNED]] = True
    return int(covered.sum())

  def __getitem__(self, i: int) -> np.ndarray:
    """Returns the input of one example."""
    return self.tokens[self.offsets[i] : self.offsets[i + 1]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Texts:
  """A block of texts and the document that each stands for.

  Attributes:
    documents: rows of the collection, B of them.
    texts: what is tokenised, one a document; a document may come often.
  """

  documents: Sequence[int]
  texts: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskConfig(abc.ABC):
  """What a task reads, and its share of a mixture.

  Attributes:
    rate: its mixing rate; examples are drawn in proportion to the rates. None
      is the number of its examples: where all tasks of a mixture have it, each
      example is read as often as any other.
    token_dropout: the least and the most share of an input's tokens that
      are left out, anew each time an example is read; each time the share
      is drawn from this range. Start and end ids stay, and so does an input
      that would be left with nothing else.
    name: its name in the mixture, which no other task of the mixture has.
  """

  rate: float | None
  token_dropout: tuple[float, float] = (0.0, 0.0)
  name: str = "task"

  def __post_init__(self):
    self.check(
      self.rate is None or (_is_number(self.rate) and 0 < self.rate < math.inf),
      "rate must be a number over 0, or None for the number of examples, and "
      f"{self.rate!r} came; leave a task out of the mixture to not train on it",
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

  @abc.abstractmethod
  def texts(self, collection: Collection) -> Iterator[Texts]:
    """Yields blocks of the texts that inputs are made of, in order."""

  def inputs(
    self, rows: Iterable[tuple[int, Sequence[int]]]
  ) -> Iterable[tuple[int, Sequence[int]]]:
    """Makes inputs of tokenised texts: here, of each text one.

    Args:
      rows: pairs of a document's row and the bare ids of a text.

    Returns:
      Pairs of a document's row and the bare ids of an input.
    """
    return rows

  def encode(
    self, block: Texts, vocabulary: Vocabulary, *, input_length: int
  ) -> Examples:
    """Tokenises a block of texts; a function of its arguments alone.

    Args:
      block: what `texts` gave.
      vocabulary: turns text into ids.
      input_length: the most ids an input may have, start and end included.

    Returns:
      The examples of the block.
    """
    pairs = zip(block.documents, block.texts, strict=True)
    return Examples.collect(
      self.inputs(encode_texts(pairs, vocabulary)),
      input_length=input_length,
      start_ids=vocabulary.start_ids,
      end_id=vocabulary.end_id,
    )

  def examples(
    self, collection: Collection, vocabulary: Vocabulary, *, input_length: int
  ) -> Examples:
    """Reads a collection and tokenises all inputs of this task, in memory.

    Args:
      collection: what to read.
      vocabulary: turns text into ids.
      input_length: the most ids an input may have, start and end included.

    Returns:
      The examples, in the order of the collection's files.

    Raises:
      ConfigError: there is none.
    """
    examples = Examples.joined(
      self.encode(block, vocabulary, input_length=input_length)
      for block in self.texts(collection)
    )
    self.check_some(examples.num_examples, collection)
    return examples

  def check_some(self, num_examples: int, collection: Collection) -> None:
    """Raises a ConfigError when a collection has no example of this task."""
    if not num_examples:
      raise ConfigError(
        f"Task {self.name!r} finds no example in collection "
        f"{collection.name!r}. Its settings are {self}."
      )

  def content(self) -> dict[str, Any]:
    """Returns the settings that decide which examples there are."""
    fields = dataclasses.asdict(self)
    del fields["rate"]
    return fields

  def check(self, right: bool, message: str) -> None:
    """Raises a ConfigError that names this task, unless all is right."""
    if not right:
      raise ConfigError(f"{type(self).__name__} {self.name!r}: {message}.")


def in_blocks(pairs: Iterable[tuple[int, str]]) -> Iterator[Texts]:
  """Gathers pairs of a document's row and a text into blocks.

  >>> list(in_blocks([(0, "a"), (2, "b")]))
  [Texts(documents=(0, 2), texts=('a', 'b'))]

  Args:
    pairs: taken as they are needed.

  Yields:
    BLOCK_TEXTS pairs a block, in order, and in the last what is left.
  """
  pairs = iter(pairs)
  while block := list(itertools.islice(pairs, BLOCK_TEXTS)):
    documents, texts = zip(*block, strict=True)
    yield Texts(documents=documents, texts=texts)


def encode_texts(
  texts: Iterable[tuple[int, str]], vocabulary: Vocabulary
) -> Iterator[tuple[int, list[int]]]:
  """Tokenises many texts, uncut and bare, and keeps their keys.

  >>> list(encode_texts([(3, "The house"), (5, "")], text.vocabulary("t5")))
  [(3, [37, 629]), (5, [])]

  Args:
    texts: pairs of a key and a text.
    vocabulary: turns text into ids.

  Yields:
    Pairs of a key and ids, in order.
  """
  keys: list[int] = []
  batch: list[str] = []
  for key, one in texts:
    keys.append(key)
    batch.append(one)
    if len(batch) == _BATCH:
      yield from zip(keys, _encode(batch, vocabulary), strict=True)
      keys, batch = [], []
  yield from zip(keys, _encode(batch, vocabulary), strict=True)


def _encode(texts: list[str], vocabulary: Vocabulary) -> list[list[int]]:
  return vocabulary.encode(texts, max_length=1 << 30, eos=False)


def _is_number(value: object) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)
