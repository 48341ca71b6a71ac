"""Judged pairs read backwards: a document -> a query that it answers.

What a generator of queries is trained on. Nothing here imports TensorFlow.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from genret.core import text
from genret.core.collection import Collection, Document
from genret.core.errors import ConfigError, suggest
from genret.core.text import Tokenizer, Vocabulary, normalise_query
from genret.tasks import stream_feed
from genret.tasks.examples import Examples
from genret.tasks.packing import Features, RowLengths
from genret.tasks.states import StateRows
from genret.tasks.stream import Ingredient, Stream, take
from genret.tasks.stream_feed import StreamBatches

_BLOCK = 1024  # documents that are tokenised at once
_NO_CUT = 1 << 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairConfig:
  """How pairs are read.

  Attributes:
    split: whose judgements they are.
    title: whether the title stands before the text.
    grades: whether the grade of the judgement stands before both, so that a
      grade can be asked for; then all judgements are read, those of grade 0
      too, and otherwise those above it.
    inputs_length: the most ids of a document, start, grade and end included.
    targets_length: the most ids of a query, its end included.
  """

  split: str = "train"
  title: bool = True
  grades: bool = False
  inputs_length: int = 384
  targets_length: int = 64

  def __post_init__(self):
    for name, least in (("inputs_length", 16), ("targets_length", 2)):
      if getattr(self, name) < least:
        raise ConfigError(
          f"{name} is {getattr(self, name)}; expected {least} or more."
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
  """What is written, as rows of ids; a feed reads them as it reads docids.

  Attributes:
    codes: uint16 [P, T], each row with its end and then pads.
  """

  codes: np.ndarray
  text_vocabulary = True
  level_starts = None

  @property
  def length(self) -> int:
    """T."""
    return self.codes.shape[1]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
  """P pairs of a document and a query, by document.

  Attributes:
    examples: the documents' ids; the number of a pair is its `documents`.
    targets: the queries, all of the collection.
    rows: int64 [P], of the documents in the collection.
    grades: int64 [P], of the judgements.
    questions: int64 [P], the same number for queries of the same text, but
      for case, white space and Unicode form.
    num_empty: pairs left out, of documents without text.
  """

  examples: Examples
  targets: Targets
  rows: np.ndarray
  grades: np.ndarray
  questions: np.ndarray
  num_empty: int = 0

  def __len__(self) -> int:
    return self.examples.num_examples

  def only(self, chosen: np.ndarray) -> Self:
    """Returns some of the pairs.

    Args:
      chosen: bool [P].
    """
    places = np.flatnonzero(chosen)
    chunk = take(self.examples, places)
    return dataclasses.replace(
      self,
      examples=Examples(
        tokens=chunk.tokens,
        offsets=np.append(0, np.cumsum(chunk.lengths)),
        documents=chunk.documents,
        num_start=chunk.num_start,
      ),
      rows=self.rows[places],
      grades=self.grades[places],
      questions=self.questions[places],
    )


def document_text(document: Document, *, with_title: bool) -> str:
  """Returns what is read of a document.

  >>> tower = Document(docno="d1", title="Tower", text="It is tall.")
  >>> document_text(tower, with_title=True)
  'Tower It is tall.'
  """
  return document.contents if with_title else document.text.strip()


def grade_ids(grade: int | None, vocabulary: Vocabulary) -> list[int]:
  """Returns the ids that ask for a grade, which stand before the document.

  >>> grade_ids(2, text.vocabulary("t5"))
  [2769, 204, 10]
  >>> grade_ids(None, text.vocabulary("t5"))
  []
  """
  if grade is None:
    return []
  asked = vocabulary.encode([f"grade {grade}:"], max_length=_NO_CUT, eos=False)
  return asked[0]


def read(
  collection: Collection, config: PairConfig, *, vocabulary: str = "t5"
) -> Pairs:
  """Reads and tokenises all pairs of a collection's split, in memory.

  A document that is judged often is tokenised once.

  Args:
    collection: what is read.
    config: how.
    vocabulary: the name of the one that documents are read in; queries are
      written in T5's.

  Returns:
    The pairs, in corpus order.

  Raises:
    ConfigError: there is no such split, or no pair in it.
  """
  if config.split not in collection.splits:
    hint = suggest(config.split, collection.splits)
    raise ConfigError(
      f"Collection {collection.name!r} has no split {config.split!r} to read"
      f" pairs of.{hint}"
    )
  judged = list(_judged(collection, config))
  found = collection.docnos.find([docno for _, docno, _ in judged])
  order = np.argsort(found, kind="stable")
  order = order[found[order] >= 0]
  rows = found[order].astype(np.int64)
  reads = text.vocabulary(vocabulary)
  blocks = _documents(collection, np.unique(rows), config, vocabulary=reads)
  ids = dict(blocks)
  kept = [(at, row) for at, row in zip(order, rows, strict=True) if ids[row]]
  if not kept:
    raise ConfigError(
      f"Collection {collection.name!r} has no pair of a document and a query in"
      f" split {config.split!r} to train a generator on."
    )
  examples = Examples.collect(
    (
      (number, [*_before(judged[at][2], config, reads), *ids[row]])
      for number, (at, row) in enumerate(kept)
    ),
    input_length=config.inputs_length,
    start_ids=reads.start_ids,
    end_id=reads.end_id,
  )
  return Pairs(
    examples=examples,
    targets=_targets([judged[at][0] for at, _ in kept], config),
    rows=np.array([row for _, row in kept]),
    grades=np.array([judged[at][2] for at, _ in kept]),
    questions=_numbers(judged[at][0] for at, _ in kept),
    num_empty=len(rows) - len(kept),
  )


def _numbers(texts: Iterable[str]) -> np.ndarray:
  """Numbers texts; those that are the same question have the same number."""
  seen: dict[str, int] = {}
  keys = map(normalise_query, texts)
  return np.array([seen.setdefault(key, len(seen)) for key in keys])


def _judged(
  collection: Collection, config: PairConfig
) -> Iterator[tuple[str, str, int]]:
  """Yields text of a query, docno and grade."""
  texts = {q.query_id: q.text for q in collection.queries(config.split)}
  for one in collection.judgements(config.split):
    if one.query_id in texts and (config.grades or one.grade >= 1):
      yield texts[one.query_id], one.docno, one.grade


def _documents(
  collection: Collection,
  rows: np.ndarray,
  config: PairConfig,
  *,
  vocabulary: Vocabulary,
) -> Iterator[tuple[int, list[int]]]:
  for first in range(0, len(rows), _BLOCK):
    block = rows[first : first + _BLOCK]
    texts = [
      document_text(d, with_title=config.title)
      for d in collection.documents(block)
    ]
    room = config.inputs_length  # more than fits: what is cut is known as such
    whole = vocabulary.encode(texts, max_length=room, eos=False)
    yield from zip(block.tolist(), whole, strict=True)


def _before(
  grade: int, config: PairConfig, vocabulary: Vocabulary
) -> list[int]:
  return grade_ids(grade if config.grades else None, vocabulary)


def _targets(texts: Sequence[str], config: PairConfig) -> Targets:
  tokenizer = Tokenizer()
  ids = tokenizer.encode(texts, max_length=config.targets_length)
  longest = max(map(len, ids))
  return Targets(codes=tokenizer.pad(ids, longest).astype(np.uint16))


def training_batches(
  pairs: Pairs,
  *,
  lengths: RowLengths,
  batch_size: int,
  pack: bool = True,
  seed: int = 0,
  shard: tuple[int, int] = (0, 1),
  states: Callable[[], Examples] | None = None,
) -> StreamBatches:
  """Opens pairs as the training loop reads them, in a random order.

  Args:
    pairs: to train on.
    lengths: of a row.
    batch_size: rows in a batch, of this shard.
    pack: whether a row holds several pairs.
    seed: decides the order.
    shard: which part of the stream, and of how many.
    states: called at the first batch; returns the examples of the pairs with
      what a frozen encoder makes of them.

  Raises:
    ConfigError: a pair does not fit a row.
  """
  _check_fits(pairs, lengths)
  ingredient = Ingredient(
    examples=pairs.examples, first_place=None if states is None else 1
  )
  return StreamBatches(
    Stream([ingredient], seed=seed, shard=shard[0], num_shards=shard[1]),
    table=pairs.targets,
    lengths=lengths,
    batch_size=batch_size,
    pack=pack,
    identity={
      "pairs": len(pairs),
      "tokens": len(pairs.examples.tokens),
      "seed": seed,
      "shard": shard[0],
      "num_shards": shard[1],
    },
    states=states and (lambda: StateRows([states().states])),
  )


def _check_fits(pairs: Pairs, lengths: RowLengths) -> None:
  for what, longest, room in (
    ("documents", pairs.examples.longest, lengths.inputs),
    ("queries", pairs.targets.length, lengths.targets),
  ):
    if longest > room:
      raise ConfigError(
        f"Some {what} have {longest} ids and a row has room for {room}: make"
        " rows longer (TASK_FEATURE_LENGTHS), or cut them shorter"
        " (INPUTS_LENGTH, TARGETS_LENGTH)."
      )


class HeldOutBatches:
  """The same batches over and over, to measure the loss on.

  Args:
    pairs: to read, each once a round.
    lengths: of a row.
    batch_size: rows in a batch, of all shards.
    pack: whether a row holds several pairs.
    shard: which rows of each batch are read, and of how many parts.
  """

  def __init__(
    self,
    pairs: Pairs,
    *,
    lengths: RowLengths,
    batch_size: int,
    pack: bool = True,
    shard: tuple[int, int] = (0, 1),
  ):
    _check_fits(pairs, lengths)
    self._batches = list(
      stream_feed.one_pass(
        [pairs.examples],
        table=pairs.targets,
        lengths=lengths,
        batch_size=batch_size,
        pack=pack,
      )
    )
    part = batch_size // shard[1]
    self._mine = slice(shard[0] * part, (shard[0] + 1) * part)
    self._number = 0
    self.rows_a_batch = batch_size
    self.rows_an_epoch = batch_size * len(self._batches)

  def __iter__(self) -> Self:
    """Returns itself."""
    return self

  def __next__(self) -> Features:
    """Returns the next batch; those that the last round left out weigh 0."""
    batch = self._batches[self._number % len(self._batches)]
    self._number += 1
    return {name: rows[self._mine] for name, rows in batch.items()}

  def state(self) -> dict[str, Any]:
    """Returns, as JSON, which batch is next."""
    return {"batch": self._number}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Goes to where a state was taken."""
    self._number = state["batch"]
