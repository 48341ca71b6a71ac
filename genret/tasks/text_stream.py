"""Endless batches of corrupted text, each a function of its number.

Documents are put end to end in an order that is drawn anew each epoch, and
cut into pieces of one length, as T5 did with C4. Passages are mostly shorter
than a row, so a document a row would be half padding, and packing would need
its masks; this way all rows are full and of one shape. A piece begins and
ends in the middle of a document, and no piece goes from one epoch into the
next: what is left of one, less than a piece, is left out.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from genret.core.errors import ArtifactError, ConfigError
from genret.tasks import span_corruption, stream_feed
from genret.tasks.packing import Features
from genret.tasks.span_corruption import SpanCorruption

TOKENS = "tokens.uint16"
OFFSETS = "offsets.npy"
_FORMAT = 1  # of a state
# What draws are made for; part of their seeds.
_ORDER, _NOISE = 1, 2


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Text:
  """The ids of N documents, end to end.

  Attributes:
    tokens: uint16 [S].
    offsets: int64 [N + 1], where each document begins and the last one ends;
      none is empty.
  """

  tokens: np.ndarray
  offsets: np.ndarray

  @classmethod
  def of(cls, rows: Iterable[Iterable[int]]) -> Self:
    """Puts documents end to end."""
    documents = [np.asarray(row, np.uint16) for row in rows]
    lengths = [len(document) for document in documents]
    return cls(
      tokens=np.concatenate([np.zeros(0, np.uint16), *documents]),
      offsets=np.cumsum([0, *lengths]),
    )

  @classmethod
  def load(cls, folder: Path) -> Self:
    """Maps what lies in a folder.

    Raises:
      ArtifactError: If there is less than there should be.
    """
    path = Path(folder) / TOKENS
    offsets = np.load(Path(folder) / OFFSETS)
    if path.stat().st_size != 2 * offsets[-1]:
      raise ArtifactError(
        f"{path} has {path.stat().st_size:,} bytes and {2 * offsets[-1]:,} are"
        " expected. Remove its folder; it is then made anew."
      )
    if not offsets[-1]:  # an empty file cannot be mapped
      return cls(tokens=np.zeros(0, np.uint16), offsets=offsets)
    tokens = np.memmap(path, np.dtype("<u2"), mode="r").view(np.ndarray)
    return cls(tokens=tokens, offsets=offsets)

  @property
  def num_documents(self) -> int:
    """N."""
    return len(self.offsets) - 1

  @property
  def num_tokens(self) -> int:
    """S."""
    return len(self.tokens)


class TextBatches:
  """Endless batches of corrupted text that can say where they stand.

  Order and noise are drawn from the seed and the number of an epoch or a
  batch, so nothing needs to be remembered. The rows of all shards together
  are the same however many shards there are.

  Args:
    text: What is read.
    inputs_length: L; the length of targets follows from it.
    batch_size: Rows in a batch, of this shard.
    corruption: How texts are corrupted.
    seed: Decides order and noise.
    shard: Which part of every batch this is.
    num_shards: How many parts there are.

  Raises:
    ConfigError: If the text does not fill one row.
  """

  def __init__(
    self,
    text: Text,
    *,
    inputs_length: int,
    batch_size: int,
    corruption: SpanCorruption | None = None,
    seed: int = 0,
    shard: int = 0,
    num_shards: int = 1,
  ):
    if batch_size < 1:
      raise ConfigError(f"batch_size must be at least 1; {batch_size} came.")
    self._text = text
    self._corruption = corruption or SpanCorruption()
    self.lengths = self._corruption.lengths(inputs_length)
    self.rows_an_epoch = text.num_tokens // self.lengths.raw
    if not self.rows_an_epoch:
      raise ConfigError(
        f"A row takes {self.lengths.raw:,} ids of text; there are"
        f" {text.num_tokens:,} in {text.num_documents:,} documents. Give more"
        " text or shorter inputs; of held-out text, a larger share"
        " (HELD_OUT_SHARE)."
      )
    self.rows_a_batch = batch_size * num_shards
    self._batch_size = batch_size
    self._seed = seed
    self._shard = shard
    self._epochs: dict[int, _Epoch] = {}
    self._number = 0
    self._identity = {
      "format": _FORMAT,
      "documents": text.num_documents,
      "tokens": text.num_tokens,
      "inputs": self.lengths.inputs,
      "targets": self.lengths.targets,
      "corruption": dataclasses.asdict(self._corruption),
      "batch_size": batch_size,
      "seed": seed,
      "shard": shard,
      "num_shards": num_shards,
    }

  def __iter__(self) -> Self:
    """Returns itself."""
    return self

  def __next__(self) -> Features:
    """Returns the next batch, as `batch` does."""
    found = self.batch(self._number)
    self._number += 1
    return found

  def state(self) -> dict[str, Any]:
    """Returns, as JSON, which batch is next."""
    return {"identity": dict(self._identity), "batch": self._number}

  def restore(self, state: Mapping[str, Any]) -> None:
    """Goes to where a state was taken.

    Raises:
      ConfigError: If it is of other batches.
    """
    stream_feed.check_identity(state, self._identity)
    self._number = state["batch"]

  def batch(self, number: int) -> Features:
    """Returns one batch, counted from 0.

    Returns:
      seqio's encoder-decoder features, int32 [B, L] and [B, T], not packed;
      every cell is used.
    """
    rows = self.rows_a_batch
    mine = slice(
      self._shard * self._batch_size, (self._shard + 1) * self._batch_size
    )
    rng = np.random.default_rng([self._seed, _NOISE, number])
    dropped = self._corruption.masks(rng, rows=rows, length=self.lengths.raw)
    first = number * rows + mine.start
    pieces = self._pieces(np.arange(first, first + self._batch_size))
    found = span_corruption.corrupt(pieces, dropped[mine])
    shifted = np.zeros_like(found.targets)
    shifted[:, 1:] = found.targets[:, :-1]
    return {
      "encoder_input_tokens": found.inputs,
      "decoder_target_tokens": found.targets,
      "decoder_input_tokens": shifted,
      "decoder_loss_weights": np.ones_like(found.targets),
    }

  def _pieces(self, rows: np.ndarray) -> np.ndarray:
    """Reads pieces of text, counted through all epochs: uint16 [B, raw]."""
    epochs = rows // self.rows_an_epoch
    parts = []
    for epoch in np.unique(epochs):
      within = rows[epochs == epoch] % self.rows_an_epoch
      starts = within[:, None] * self.lengths.raw
      places = starts + np.arange(self.lengths.raw)  # [B, raw]
      parts.append(self._epoch(int(epoch)).read(places))
    return np.concatenate(parts)

  def _epoch(self, number: int) -> "_Epoch":
    if number not in self._epochs:
      rng = np.random.default_rng([self._seed, _ORDER, number])
      # Only the one before may be asked for again.
      before = self._epochs.get(number - 1)
      self._epochs = {number - 1: before} if before else {}
      self._epochs[number] = _Epoch(self._text, rng)
    return self._epochs[number]


class _Epoch:
  """The documents of a text in a random order, end to end."""

  def __init__(self, text: Text, rng: np.random.Generator):
    order = rng.permutation(text.num_documents)
    self._ends = np.cumsum(np.diff(text.offsets)[order])
    # Where a document lies in the text, less where it lies here.
    self._shifts = text.offsets[order + 1] - self._ends
    self._tokens = text.tokens

  def read(self, places: np.ndarray) -> np.ndarray:
    """Returns the ids at some places of the order, uint16, of any shape."""
    documents = np.searchsorted(self._ends, places, side="right")
    return self._tokens[places + self._shifts[documents]]
