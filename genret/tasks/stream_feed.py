"""Batches from arrays of examples: mixed, packed, and restartable."""

import concurrent.futures
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from genret.core.docid_table import PAD, DocidTable
from genret.core.errors import ConfigError
from genret.tasks import packing
from genret.tasks.examples import Examples
from genret.tasks.packing import STATE_PLACES, Features, RowLengths
from genret.tasks.states import StateRows
from genret.tasks.stream import (
  CHUNK_EXAMPLES,
  ROWS,
  Chunk,
  Position,
  Stream,
  take,
)

_FORMAT = 1  # of a state


def check_identity(state: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
  """Refuses a saved position of other batches.

  Args:
    state: as JSON, with the `identity` of the batches it was taken of.
    ours: what decides the batches at hand.

  Raises:
    ConfigError: some part of it differs.
  """
  theirs = state.get("identity", {})
  for key, value in ours.items():
    if theirs.get(key) != value:
      raise ConfigError(
        f"The saved input position is of another feed: {key} was "
        f"{theirs.get(key)!r} there and is {value!r} here. Resume with the "
        "settings of the first run, or begin anew."
      )


def state_of(
  identity: Mapping[str, Any], position: Position, row: int
) -> dict[str, Any]:
  """Returns, as JSON, where in a stream a reader stands.

  Args:
    identity: what decides the batches.
    position: of the chunk at hand.
    row: the next of that chunk.
  """
  return {
    "identity": dict(identity),
    "chunk": position.chunk,
    "drawn": list(position.drawn),
    "row": row,
  }


def position_of(
  state: Mapping[str, Any], identity: Mapping[str, Any]
) -> Position:
  """Returns the chunk at which a state was taken.

  Raises:
    ConfigError: it is of other batches.
  """
  check_identity(state, identity)
  return Position(chunk=state["chunk"], drawn=tuple(state["drawn"]))


class StreamBatches:
  """Endless batches of a stream.

  The rows of a chunk are made in a thread of their own while those of the
  chunk before are consumed. A state names a chunk and a row within it, so
  what is prepared ahead never matters.

  Args:
    examples: the stream.
    table: the docids.
    lengths: of a row.
    batch_size: rows in a batch.
    pack: whether a row holds several examples.
    identity: whatever else decides the batches, as JSON; a state is
      restored only where this is the same.
    states: returns the states of the stream's tokens, by their places; asked
      for at the first batch, and the batches then have `encoder_states`.
  """

  def __init__(
    self,
    examples: Stream,
    *,
    table: DocidTable,
    lengths: RowLengths,
    batch_size: int,
    pack: bool,
    identity: Mapping[str, Any],
    states: Callable[[], StateRows] | None = None,
  ):
    self._stream = examples
    self._table = table
    self._lengths = lengths
    self._batch_size = batch_size
    self._pack = pack
    self._open_states = states
    self._identity = {
      **identity,
      "format": _FORMAT,
      "inputs": lengths.inputs,
      "targets": lengths.targets,
      "batch_size": batch_size,
      "pack": pack,
    }
    self._worker = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    self._open(examples.start)

  def __iter__(self) -> "StreamBatches":
    """Returns itself."""
    return self

  def __next__(self) -> Features:
    """Returns the next batch: arrays of `batch_size` rows."""
    parts, missing = [], self._batch_size
    while missing:
      if self._row == _num_rows(self._rows):
        self._rows, self._row = self._ahead.result(), 0
        self._position = self._stream.after(self._position)
        self._prepare()
      part = _rows(self._rows, self._row, self._row + missing)
      parts.append(part)
      self._row += _num_rows(part)
      missing -= _num_rows(part)
    return self._with_states(_joined(parts))

  def _with_states(self, batch: Features) -> Features:
    """Reads the states of a batch, whose places are of no use to a step."""
    if self._open_states is None:
      return batch
    places = batch.pop(STATE_PLACES)
    return {**batch, "encoder_states": self._states.gather(places)}

  @functools.cached_property
  def _states(self) -> StateRows:
    return self._open_states()

  def state(self) -> dict[str, Any]:
    """Returns, as JSON, where the next batch begins."""
    return state_of(self._identity, self._position, self._row)

  def restore(self, state: Mapping[str, Any]) -> None:
    """Goes to where a state was taken.

    Args:
      state: from `state`, of batches opened with the same arguments.

    Raises:
      ConfigError: it is of other batches.
    """
    position = position_of(state, self._identity)
    self._ahead.result()
    self._open(position)
    self._row = state["row"]

  def _open(self, position: Position) -> None:
    self._position = position
    self._row = 0
    self._rows = self._worker.submit(self._make, position).result()
    self._prepare()

  def _prepare(self) -> None:
    following = self._stream.after(self._position)
    self._ahead = self._worker.submit(self._make, following)

  def _make(self, position: Position) -> Features:
    chunk = self._stream.read(position)
    rows = lay_out(chunk, self._table, self._lengths, pack=self._pack)
    order = self._stream.rng(ROWS, position.chunk).permutation(_num_rows(rows))
    return {name: values[order] for name, values in rows.items()}


def lay_out(
  chunk: Chunk, table: DocidTable, lengths: RowLengths, *, pack: bool
) -> Features:
  """Gives examples their docids and puts them into rows.

  Args:
    chunk: E examples.
    table: the docids.
    lengths: of a row; every example fits.
    pack: whether a row holds several examples.

  Returns:
    Features of R rows; when packed, the rows with long inputs are first.
  """
  codes = table.codes[chunk.documents]  # [E, T]
  used = codes != PAD
  sequences = packing.Sequences(
    inputs=chunk.tokens,
    input_lengths=chunk.lengths,
    targets=codes[used].astype(np.int32),
    target_lengths=used.sum(axis=1),
    places=chunk.places,
  )
  if pack:
    layout = packing.best_fit(chunk.lengths, sequences.target_lengths, lengths)
  else:
    layout = packing.one_a_row(len(chunk.lengths))
  return packing.encoder_decoder_features(
    sequences, layout, lengths, packed=pack
  )


def one_pass(
  examples: Iterable[Examples],
  *,
  table: DocidTable,
  lengths: RowLengths,
  batch_size: int,
  pack: bool,
) -> Iterator[Features]:
  """Yields every example once, in order, and no token left out.

  Args:
    examples: of one task after the other.
    table: the docids.
    lengths: of a row.
    batch_size: rows in a batch.
    pack: whether a row holds several examples.

  Yields:
    Batches; the last is filled up with rows of zeros, which weigh nothing.
  """
  left: list[Features] = []
  for chunk in _in_order(examples):
    rows = _joined([*left, lay_out(chunk, table, lengths, pack=pack)])
    whole = _num_rows(rows) - _num_rows(rows) % batch_size
    for start in range(0, whole, batch_size):
      yield _rows(rows, start, start + batch_size)
    left = [_rows(rows, whole, _num_rows(rows))]
  for rows in left:
    missing = batch_size - _num_rows(rows)
    if missing < batch_size:
      yield {k: np.pad(v, ((0, missing), (0, 0))) for k, v in rows.items()}


def _in_order(examples: Iterable[Examples]) -> Iterator[Chunk]:
  for one in examples:
    for first in range(0, one.num_examples, CHUNK_EXAMPLES):
      last = min(first + CHUNK_EXAMPLES, one.num_examples)
      yield take(one, np.arange(first, last))


def _num_rows(features: Features) -> int:
  return len(features["encoder_input_tokens"])


def _rows(features: Features, first: int, last: int) -> Features:
  return {name: values[first:last] for name, values in features.items()}


def _joined(parts: Sequence[Features]) -> Features:
  return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
