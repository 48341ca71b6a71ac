"""Span corruption, T5's own objective (Raffel et al., 2020, section 3.1.4).

Spans of a text are dropped; the model reads what is left and writes what is
missing. The algorithm is that of t5's `random_spans_noise_mask` and
`noise_span_to_unique_sentinel`, for many rows of one length at once. Equally
long rows lose equally many tokens in equally many spans, so nothing is padded.
"""

import dataclasses

import numpy as np

from genret.core.errors import ConfigError
from genret.core.text import Tokenizer

FIRST_SENTINEL = 32_099
"""<extra_id_0>; those after it count downwards."""
NUM_SENTINELS = 100


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Corrupted:
  """Rows of an encoder-decoder, each of which ends with EOS.

  Attributes:
    inputs: int32 [R, L], the text with a sentinel for each dropped span.
    targets: int32 [R, T], the dropped spans, each behind its sentinel.
  """

  inputs: np.ndarray
  targets: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lengths:
  """What fits together: L inputs, T targets, and the ids they are made of.

  Attributes:
    raw: ids of a piece of text before its corruption.
    inputs: L, EOS included.
    targets: T, EOS included.
  """

  raw: int
  inputs: int
  targets: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpanCorruption:
  """How much of a text is dropped, and in what pieces.

  Attributes:
    noise_density: Share of the ids that are dropped.
    mean_span_length: Mean ids of a dropped span.
  """

  noise_density: float = 0.15
  mean_span_length: float = 3.0

  def __post_init__(self):
    if not 0 < self.noise_density < 1:
      raise ConfigError(
        f"noise_density lies between 0 and 1; {self.noise_density} came."
      )
    if self.mean_span_length < 1:
      raise ConfigError(
        f"mean_span_length is {self.mean_span_length}; expected 1 or more."
      )

  def num_dropped(self, length: int) -> int:
    """Counts the ids that a text of `length` ids, 2 or more, loses."""
    wanted = round(length * self.noise_density)
    return min(max(wanted, 1), length - 1)

  def num_spans(self, length: int) -> int:
    """Counts the spans in which it loses them."""
    dropped = self.num_dropped(length)
    wanted = max(round(dropped / self.mean_span_length), 1)
    return min(wanted, length - dropped)  # each follows one that is kept

  def lengths(self, inputs: int) -> Lengths:
    """Finds the longest text whose corruption fits, as t5 does.

    >>> SpanCorruption().lengths(512)
    Lengths(raw=568, inputs=512, targets=114)

    Args:
      inputs: The most ids that the encoder reads, EOS included.

    Returns:
      The lengths. All of the inputs are used, or one less where an id more of
      text would need two.

    Raises:
      ConfigError: If that is too short for a text, or long enough for more
        spans than T5 has sentinels.
    """
    if inputs < 3:
      raise ConfigError(
        f"Inputs of {inputs} ids hold no corrupted text: an id that is kept, a"
        " sentinel and EOS are 3."
      )
    raw = inputs - 1
    while self._num_inputs(raw + 1) <= inputs:
      raw += 1
    spans = self.num_spans(raw)
    if spans > NUM_SENTINELS:
      raise ConfigError(
        f"Inputs of {inputs} ids would have {spans} dropped spans; T5 has"
        f" {NUM_SENTINELS} sentinels. Take shorter inputs, longer spans or less"
        " noise."
      )
    targets = self.num_dropped(raw) + spans + 1
    return Lengths(raw=raw, inputs=self._num_inputs(raw), targets=targets)

  def _num_inputs(self, raw: int) -> int:
    return raw - self.num_dropped(raw) + self.num_spans(raw) + 1

  def masks(
    self, rng: np.random.Generator, *, rows: int, length: int
  ) -> np.ndarray:
    """Draws which ids are dropped; all ways to do so are equally likely.

    Kept and dropped spans take turns, a kept one first.

    >>> rng = np.random.default_rng(0)
    >>> SpanCorruption(noise_density=0.4, mean_span_length=2.0).masks(
    ...   rng, rows=2, length=10
    ... ).astype(int)
    array([[0, 0, 0, 0, 1, 1, 0, 0, 1, 1],
           [0, 0, 0, 0, 1, 0, 0, 1, 1, 1]])

    Args:
      rng: Draws them.
      rows: R.
      length: Ids of each row, 2 or more.

    Returns:
      bool [R, length], True where an id is dropped; every row has
      `num_dropped` of them in `num_spans` spans.
    """
    dropped, spans = self.num_dropped(length), self.num_spans(length)
    kept = _cut(rng, rows=rows, items=length - dropped, parts=spans)
    lost = _cut(rng, rows=rows, items=dropped, parts=spans)
    turns = np.stack([kept, lost], axis=2).reshape(rows, -1)  # [R, 2 x spans]
    starts = np.cumsum(turns, axis=1)[:, :-1]
    changes = np.zeros((rows, length), bool)
    np.put_along_axis(changes, starts, True, axis=1)
    return np.logical_xor.accumulate(changes, axis=1)


def corrupt(tokens: np.ndarray, dropped: np.ndarray) -> Corrupted:
  """Turns rows of text into what is read and what is to be written.

  A span of either kind becomes one sentinel on the side that lacks it, the
  first <extra_id_0>, the next <extra_id_1>. So targets end with a sentinel of
  their own where a text goes on behind its last dropped span. Those of
  `SpanCorruption.masks` all end with a dropped span, as t5's do.

  >>> found = corrupt(  # Thank you, for inviting, me to your party, last, week
  ...   np.array([[11, 12, 13, 14, 15, 16, 17, 18, 19, 20]]),
  ...   np.array([[0, 0, 1, 1, 0, 0, 0, 0, 1, 0]], bool),
  ... )
  >>> found.inputs
  array([[   11,    12, 32099,    15,    16,    17,    18, 32098,    20,
              1]], dtype=int32)
  >>> found.targets
  array([[32099,    13,    14, 32098,    19, 32097,     1]], dtype=int32)

  Args:
    tokens: Ids [R, S].
    dropped: bool [R, S], in every row as many ids in as many spans, none at
      the first place.

  Returns:
    The rows.
  """
  return Corrupted(
    inputs=_with_sentinels(tokens, dropped),
    targets=_with_sentinels(tokens, ~dropped),
  )


def _with_sentinels(tokens: np.ndarray, gone: np.ndarray) -> np.ndarray:
  """Puts one sentinel for each run of ids that is gone, and EOS at the end."""
  after_gone = np.zeros_like(gone)
  after_gone[:, 1:] = gone[:, :-1]
  first = gone & ~after_gone
  sentinels = FIRST_SENTINEL + 1 - np.cumsum(first, axis=1, dtype=np.int32)
  marked = np.where(first, sentinels, tokens)
  rows = marked[~(gone & after_gone)].reshape(len(tokens), -1)
  out = np.full((len(rows), rows.shape[1] + 1), Tokenizer.eos_id, np.int32)
  out[:, :-1] = rows
  return out


def _cut(
  rng: np.random.Generator, *, rows: int, items: int, parts: int
) -> np.ndarray:
  """Cuts a number of items into parts of at least one, int64 [R, parts].

  Each row is one of all ways to do so, equally likely.
  """
  bounds = np.zeros((rows, parts + 1), np.int64)
  bounds[:, -1] = items
  if parts > 1:
    keys = rng.random((rows, items - 1))
    cuts = np.argpartition(keys, parts - 2, axis=1)[:, : parts - 1]
    bounds[:, 1:-1] = np.sort(cuts, axis=1) + 1
  return np.diff(bounds, axis=1)
