"""Packing: several short examples in one row of fixed length.

The features have the names and the meaning of those that
`seqio.EncDecFeatureConverter` makes; a test holds the two equal. Nothing
here imports TensorFlow.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

Features = dict[str, np.ndarray]
STATE_PLACES = "encoder_state_places"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowLengths:
  """How long a row is: L inputs and T targets."""

  inputs: int
  targets: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sequences:
  """Inputs and targets of E examples, each end to end.

  Attributes:
    inputs: ids [S].
    input_lengths: int64 [E], none of them 0.
    targets: symbols [U].
    target_lengths: int64 [E], none of them 0.
    places: int64 [S], from 1, where the state of each input id is found;
      None where states are not read.
  """

  inputs: np.ndarray
  input_lengths: np.ndarray
  targets: np.ndarray
  target_lengths: np.ndarray
  places: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
  """Where each of E examples lies.

  Attributes:
    rows: int64 [E].
    segments: int64 [E], its place among the examples of its row, from 1.
    input_starts: int64 [E], where in the row its inputs begin.
    target_starts: int64 [E], where in the row its targets begin.
    num_rows: R.
  """

  rows: np.ndarray
  segments: np.ndarray
  input_starts: np.ndarray
  target_starts: np.ndarray
  num_rows: int


def one_a_row(num_examples: int) -> Layout:
  """Gives each example a row of its own."""
  zeros = np.zeros(num_examples, np.int64)
  return Layout(
    rows=np.arange(num_examples),
    segments=zeros + 1,
    input_starts=zeros,
    target_starts=zeros,
    num_rows=num_examples,
  )


def best_fit(
  input_lengths: Sequence[int],
  target_lengths: Sequence[int],
  lengths: RowLengths,
) -> Layout:
  """Packs examples, the longest first, each where the least room is left.

  A row takes no more examples once its targets might not fit the longest
  docid, so targets never overflow.

  >>> lengths = RowLengths(inputs=8, targets=4)
  >>> layout = best_fit([3, 6, 2, 5], [1, 1, 1, 1], lengths)
  >>> layout.rows.tolist(), layout.input_starts.tolist()
  ([1, 0, 0, 1], [5, 0, 6, 0])

  Args:
    input_lengths: E lengths, none over `lengths.inputs`.
    target_lengths: E lengths, none over `lengths.targets`.
    lengths: of a row.

  Returns:
    The layout; rows are in the order in which they were begun.
  """
  needs = np.asarray(input_lengths, np.int64).tolist()
  target_needs = np.asarray(target_lengths, np.int64).tolist()
  order = np.argsort(np.negative(needs), kind="stable").tolist()
  last_start = lengths.targets - max(target_needs, default=0)
  rows, segments = [0] * len(needs), [0] * len(needs)
  input_starts, target_starts = [0] * len(needs), [0] * len(needs)
  used: list[int] = []  # targets of each row
  count: list[int] = []  # examples of each row
  open_rows: list[list[int]] = [[] for _ in range(lengths.inputs + 1)]
  rooms = 0  # bit r is set when a row with r free inputs is open
  for i in order:
    need = needs[i]
    fitting = rooms >> need
    if fitting:
      room = need + (fitting & -fitting).bit_length() - 1
      row = open_rows[room].pop()
      if not open_rows[room]:
        rooms ^= 1 << room
    else:
      room, row = lengths.inputs, len(used)
      used.append(0)
      count.append(0)
    count[row] += 1
    rows[i], segments[i] = row, count[row]
    input_starts[i], target_starts[i] = lengths.inputs - room, used[row]
    used[row] += target_needs[i]
    room -= need
    if room and used[row] <= last_start:
      open_rows[room].append(row)
      rooms |= 1 << room
  return Layout(
    rows=np.asarray(rows),
    segments=np.asarray(segments),
    input_starts=np.asarray(input_starts),
    target_starts=np.asarray(target_starts),
    num_rows=len(used),
  )


def encoder_decoder_features(
  sequences: Sequences, layout: Layout, lengths: RowLengths, *, packed: bool
) -> Features:
  """Lays examples out as the features of an encoder-decoder.

  Decoder inputs are the targets shifted right by one within each example,
  so every example begins with 0, wherever in a row it lies.

  >>> sequences = Sequences(
  ...   inputs=np.array([7, 8, 1, 9, 1]),
  ...   input_lengths=np.array([3, 2]),
  ...   targets=np.array([4, 5, 6, 7]),
  ...   target_lengths=np.array([2, 2]),
  ... )
  >>> lengths = RowLengths(inputs=6, targets=5)
  >>> features = encoder_decoder_features(
  ...   sequences, best_fit([3, 2], [2, 2], lengths), lengths, packed=True
  ... )
  >>> for name, rows in features.items():
  ...   print(f"{name:22s}", *rows[0])
  encoder_input_tokens   7 8 1 9 1 0
  decoder_target_tokens  4 5 6 7 0
  decoder_input_tokens   0 4 0 6 0
  decoder_loss_weights   1 1 1 1 0
  encoder_segment_ids    1 1 1 2 2 0
  decoder_segment_ids    1 1 2 2 0
  encoder_positions      0 1 2 0 1 0
  decoder_positions      0 1 0 1 0

  Args:
    sequences: the examples.
    layout: where each lies.
    lengths: of a row.
    packed: whether to add segment ids and positions.

  Returns:
    int32 arrays [R, L] for the encoder and [R, T] for the decoder; and where
    states are read, STATE_PLACES, int64 [R, L].
  """
  encoder = _Grid(
    layout,
    starts=layout.input_starts,
    sizes=sequences.input_lengths,
    width=lengths.inputs,
  )
  decoder = _Grid(
    layout,
    starts=layout.target_starts,
    sizes=sequences.target_lengths,
    width=lengths.targets,
  )
  features = {
    "encoder_input_tokens": encoder.place(sequences.inputs),
    "decoder_target_tokens": decoder.place(sequences.targets),
  }
  if sequences.places is not None:
    features[STATE_PLACES] = encoder.place(sequences.places, np.int64)
  shifted = np.roll(features["decoder_target_tokens"], 1, axis=1)
  shifted[:, 0] = 0
  if packed:  # what comes before an example is none of its business
    shifted *= decoder.place(decoder.positions > 0)
  features["decoder_input_tokens"] = shifted
  features["decoder_loss_weights"] = decoder.place(1)
  if packed:
    features["encoder_segment_ids"] = encoder.place(encoder.segments)
    features["decoder_segment_ids"] = decoder.place(decoder.segments)
    features["encoder_positions"] = encoder.place(encoder.positions)
    features["decoder_positions"] = decoder.place(decoder.positions)
  return features


class _Grid:
  """The cells of R rows that the tokens of all examples fill."""

  def __init__(
    self,
    layout: Layout,
    *,
    starts: np.ndarray,
    sizes: np.ndarray,
    width: int,
  ):
    self._shape = (layout.num_rows, width)
    ends = np.cumsum(sizes)
    within = np.arange(ends[-1] if len(ends) else 0)
    self.positions = within - np.repeat(ends - sizes, sizes)
    self.segments = np.repeat(layout.segments, sizes)
    first = layout.rows * width + starts
    self._cells = np.repeat(first, sizes) + self.positions

  def place(
    self, values: np.ndarray | int, dtype: type = np.int32
  ) -> np.ndarray:
    """Returns [R, width] with a value in each cell, 0 elsewhere."""
    out = np.zeros(self._shape, dtype)
    out.reshape(-1)[self._cells] = values
    return out
