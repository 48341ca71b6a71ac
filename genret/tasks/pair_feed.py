"""Batches of texts and documents for training, restartable anywhere.

Nothing here imports TensorFlow.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from genret.core.errors import ConfigError
from genret.tasks import documents, stream_feed
from genret.tasks.packing import Features
from genret.tasks.pairs import Pairs
from genret.tasks.states import StateRows
from genret.tasks.stream import Position, Stream

LENGTHS = (16, 32, 64, 128, 256, 512)  # that rows are padded to
_LONG = 256  # and multiples of this, above the last of them
_NEGATIVES = 4  # what a generator is for, beside those of a stream
_FORMAT = 1  # of a state


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
  """Which part of a stream is read, of how many."""

  index: int = 0
  count: int = 1


class PairBatches:
  """Endless batches of texts, each with its document and hard negatives.

  Rows are as long as `padded_length` has it for the longest of a batch, and
  where several shards make a batch for the longest of all examples.

  Args:
    pairs: what is read.
    batch_size: B, rows of this shard.
    seed: decides the order, and which negatives are drawn.
    shard: the part of the stream.
    negatives: rows of documents that are no answer to each text, int32
      [E, M], -1 where there are fewer; None without hard negatives.
    num_negatives: H, drawn of these for a text, anew each time it is read. A
      text that has fewer gets documents at random.
    identity: whatever else decides the batches, as JSON.
    states: returns the states of the tokens of all tasks, in their order, and
      then of the documents; asked for at the first batch. Where tokens are
      left out by chance, the others have read them.

  Raises:
    ConfigError: the negatives are of other texts.
  """

  def __init__(
    self,
    pairs: Pairs,
    *,
    batch_size: int,
    seed: int,
    shard: Shard = Shard(),
    negatives: np.ndarray | None = None,
    num_negatives: int = 0,
    identity: Mapping[str, Any],
    states: Callable[[], StateRows] | None = None,
  ):
    if batch_size < 1:
      raise ConfigError(f"batch_size must be at least 1; {batch_size} came.")
    self._pairs = pairs
    self._batch_size = batch_size
    self._negatives = negatives
    self._num_negatives = 0 if negatives is None else num_negatives
    _check(negatives, pairs)
    self._open_states = states
    self._alone = shard.count == 1
    self._stream = Stream(
      pairs.ingredients, seed=seed, shard=shard.index, num_shards=shard.count
    )
    self._identity = {
      **identity,
      "format": _FORMAT,
      "seed": seed,
      "shard": shard.index,
      "num_shards": shard.count,
      "batch_size": batch_size,
      "num_negatives": self._num_negatives,
    }
    self._open(self._stream.start)

  def __iter__(self) -> "PairBatches":
    """Returns itself."""
    return self

  def __next__(self) -> Features:
    """Returns the next batch.

    Returns:
      `inputs` [B, L], `documents` [B, 1 + H, L], that of the text first, and
      what they are known by: `numbers` of these documents [B, 1 + H] and
      `known`, those of all documents that are right for the text, [B, P],
      -1 where there are fewer. All are int32. With states also those of
      inputs and documents, float16 [B, L, E] and [B, 1 + H, L, E].
    """
    parts, missing = [], self._batch_size
    while missing:
      if self._row == len(self._chunk.lengths):
        self._open(self._stream.after(self._position))
      part = self._take(self._row, self._row + missing)
      parts.append(part)
      self._row += len(part.lengths)
      missing -= len(part.lengths)
    return self._features(parts)

  def state(self) -> dict[str, Any]:
    """Returns, as JSON, where the next batch begins."""
    return stream_feed.state_of(self._identity, self._position, self._row)

  def restore(self, state: Mapping[str, Any]) -> None:
    """Goes to where a state was taken.

    Raises:
      ConfigError: it is of other batches.
    """
    self._open(stream_feed.position_of(state, self._identity))
    self._row = state["row"]

  def _open(self, position: Position) -> None:
    self._position = position
    self._row = 0
    self._chunk = self._stream.read(position)
    self._starts = np.append(0, np.cumsum(self._chunk.lengths))
    # A text's last token is never left out.
    last = self._chunk.places[self._starts[1:] - 1]
    self._examples = self._pairs.find(last)
    self._drawn = self._draw(position.chunk)

  def _draw(self, chunk: int) -> np.ndarray:
    """Draws the hard negatives of a chunk's texts, rows of documents [E, H]."""
    count, size = self._num_negatives, len(self._examples)
    if not count:
      return np.zeros((size, 0), np.int64)
    rng = self._stream.rng(_NEGATIVES, chunk)
    offered = self._negatives[self._examples]
    order = np.where(offered < 0, 2.0, rng.random(offered.shape))
    chosen = np.argsort(order, axis=1, kind="stable")[:, :count]
    drawn = np.take_along_axis(offered, chosen, axis=1)
    missing = count - drawn.shape[1]
    drawn = np.pad(drawn, ((0, 0), (0, max(missing, 0))), constant_values=-1)
    anything = rng.integers(self._pairs.documents.count, size=drawn.shape)
    return np.where(drawn < 0, anything, drawn)

  def _take(self, first: int, last: int) -> "_Part":
    last = min(last, len(self._chunk.lengths))
    own = self._chunk.documents[first:last, None]
    tokens = slice(self._starts[first], self._starts[last])
    return _Part(
      tokens=self._chunk.tokens[tokens],
      places=self._chunk.places[tokens],
      lengths=self._chunk.lengths[first:last],
      examples=self._examples[first:last],
      documents=np.concatenate([own, self._drawn[first:last]], axis=1),
    )

  def _features(self, parts: Sequence["_Part"]) -> Features:
    tokens, places, lengths, examples, rows = (
      np.concatenate([getattr(part, field.name) for part in parts])
      for field in dataclasses.fields(_Part)
    )
    read = self._pairs.documents
    most = read.lengths(rows).max() if self._alone else read.longest
    length = lengths.max() if self._alone else self._pairs.longest
    inputs = np.zeros((len(lengths), padded_length(length)), np.int32)
    found = read.padded(rows.ravel(), padded_length(most))
    batch = {
      "inputs": documents.pad(tokens, lengths, out=inputs),
      "documents": found.reshape(*rows.shape, -1),
      "numbers": read.numbers[rows],
      "known": self._pairs.known(examples, rows[:, 0]),
    }
    if self._open_states is None:
      return batch
    at = documents.pad(places, lengths, out=np.zeros(inputs.shape, np.int64))
    return batch | self._read_states(at, rows, found.shape[1])

  def _read_states(
    self, places: np.ndarray, rows: np.ndarray, length: int
  ) -> Features:
    """Returns the states of texts, from their places, and of documents."""
    behind = self._pairs.num_tokens
    of_documents = self._pairs.documents.places(rows.ravel(), length)
    of_documents += np.where(of_documents > 0, behind, 0)
    found = self._states.gather(of_documents)
    return {
      "inputs_states": self._states.gather(places),
      "documents_states": found.reshape(*rows.shape, *found.shape[1:]),
    }

  @functools.cached_property
  def _states(self) -> StateRows:
    return self._open_states()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
  """Some texts of a chunk: ids end to end, and rows of documents [E, 1 + H]."""

  tokens: np.ndarray
  places: np.ndarray
  lengths: np.ndarray
  examples: np.ndarray
  documents: np.ndarray


def padded_length(length: int) -> int:
  """Returns the length of rows that hold so many ids.

  One of few, as a program is compiled for each.

  >>> padded_length(17), padded_length(600)
  (32, 768)
  """
  long = -(-int(length) // _LONG) * _LONG
  return next((size for size in LENGTHS if size >= length), long)


def _check(negatives: np.ndarray | None, pairs: Pairs) -> None:
  shape = getattr(negatives, "shape", None)
  if shape is not None and (len(shape) != 2 or shape[0] != pairs.num_examples):
    raise ConfigError(
      f"Hard negatives are an array {list(shape)}; expected a row for each of"
      f" {pairs.num_examples:,} texts."
    )
