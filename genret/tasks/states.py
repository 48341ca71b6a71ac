"""States of inputs that a frozen part of a model computes once for all steps.

A file of plain little-endian numbers, parallel to the tokens of a task:

  states.float16  [S, E]  what the first trained layer reads of each token

It grows by blocks of whole inputs; a run that was killed goes on with the
block that it was at. Nothing here imports TensorFlow or JAX.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float16, Int
from tqdm import tqdm

from genret.core import artifacts
from genret.core.errors import ArtifactError, ConfigError
from genret.tasks.examples import Examples

Encode = Callable[[np.ndarray], Any]
"""int32 [B, L], ids of one input a row, 0 pads -> an array [B, L, E]."""

NAME = "states.float16"
PROGRESS = "progress.json"

_DTYPE = np.dtype("<f2")
# Few, as a program is compiled for each; close, as the rest is padding.
_LENGTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_BATCH_TOKENS = 4096
_BLOCK_TOKENS = 1 << 17


def encoded_once(
  examples: Examples,
  encode: Encode,
  *,
  width: int,
  max_length: int,
  folder: Path,
  recipe: artifacts.Recipe,
  label: str = "inputs",
) -> Examples:
  """Computes the states of all inputs, those that are not there already.

  The same bytes come of it whether it is killed on the way or not.

  Args:
    examples: of one task.
    encode: the frozen part of the model; a row depends on no other.
    width: E.
    max_length: the longest row that the frozen part takes.
    folder: of these states, new or begun; not an artifact, as it is never
      sealed: who is done with it removes it.
    recipe: of what the states are made; another one finds the folder taken.
    label: stands before the progress bar.

  Returns:
    The examples with their states, mapped from disk.

  Raises:
    ArtifactError: the folder is of other states, or was changed.
    ConfigError: there is no room for them, or they are too large for float16.
  """
  folder = Path(folder)
  artifacts.begin(folder, recipe)
  there = _num_done(folder)
  with (
    open(folder / NAME, "ab") as file,
    tqdm(
      total=examples.num_examples,
      initial=there,
      desc=f"encode {label}",
      unit=" examples",
      delay=2,
    ) as bar,
  ):
    done = num_bytes(examples, width, there)
    _cut(file, done)
    check_room(folder, num_bytes(examples, width) - done)
    for first, last in _blocks(examples.offsets, there):
      block = _encoded(
        examples,
        first,
        last,
        encode=encode,
        width=width,
        max_length=max_length,
      )
      _check_finite(block, label)
      file.write(block.data)
      file.flush()
      os.fsync(file.fileno())
      artifacts.write_json(folder / PROGRESS, {"examples": last})
      bar.update(last - first)
    _check_whole(file, num_bytes(examples, width))
  shape = (len(examples.tokens), width)
  mapped = np.memmap(folder / NAME, _DTYPE, mode="r", shape=shape)
  return dataclasses.replace(examples, states=mapped.view(np.ndarray))


def num_bytes(examples: Examples, width: int, count: int | None = None) -> int:
  """Says how large the states of the first `count` inputs are, or of all."""
  last = examples.num_examples if count is None else count
  return int(examples.offsets[last]) * width * _DTYPE.itemsize


def check_room(folder: Path, needed: int) -> None:
  """Raises a ConfigError when a disk has less than `needed` bytes free."""
  free = shutil.disk_usage(folder).free
  if needed > free:
    raise ConfigError(
      f"The states of the inputs need {needed / 1e9:,.1f} GB more in {folder}, "
      f"where {free / 1e9:,.1f} GB are free. Make room, take fewer or shorter "
      "inputs, or compute states in every step: TrainConfig.cache_states ="
      " False."
    )


class StateRows:
  """States of the inputs of several tasks, as if they lay end to end.

  >>> rows = StateRows([np.array([[1], [2]]), np.array([[3]])])
  >>> rows.gather(np.array([[3, 1, 0]])).tolist()
  [[[3.0], [1.0], [0.0]]]

  Args:
    parts: [S, E] of each task, in the order of their places.
  """

  def __init__(self, parts: Sequence[np.ndarray]):
    self._parts = tuple(parts)
    sizes = [len(part) for part in self._parts]
    self._first = np.append(0, np.cumsum(sizes)).tolist()

  def gather(
    self, places: Int[np.ndarray, "B L"]
  ) -> Float16[np.ndarray, "B L E"]:
    """Reads the states of some tokens.

    Args:
      places: of the tokens, from 1; 0 is no token.

    Returns:
      Their states, zeros where there is no token.
    """
    width = self._parts[0].shape[1]
    out = np.zeros((*places.shape, width), _DTYPE)
    bounds = zip(self._first, self._first[1:], self._parts, strict=False)
    for first, last, part in bounds:
      here = (places > first) & (places <= last)
      out[here] = part[places[here] - first - 1]
    return out


def _num_done(folder: Path) -> int:
  try:
    text = (folder / PROGRESS).read_text(encoding="utf-8")
  except FileNotFoundError:
    return 0
  return json.loads(text)["examples"]


def _cut(file: BinaryIO, size: int) -> None:
  """Drops what a killed run wrote of a block after the last whole one."""
  found = os.fstat(file.fileno()).st_size
  if found < size:
    raise ArtifactError(
      f"{file.name} has {found:,} bytes and {size:,} were written. Remove its "
      "folder; the states are then computed anew."
    )
  file.truncate(size)


def _check_whole(file: BinaryIO, size: int) -> None:
  """Refuses what two runs wrote at once."""
  found = os.fstat(file.fileno()).st_size
  if found != size:
    raise ArtifactError(
      f"{file.name} has {found:,} bytes and {size:,} were written: another run"
      " wrote it at the same time. Remove its folder and run one after another."
    )


def _blocks(offsets: np.ndarray, first: int) -> Iterator[tuple[int, int]]:
  """Yields where blocks of whole inputs begin and end.

  >>> list(_blocks(np.array([0, 100_000, 120_000, 140_000]), 0))
  [(0, 2), (2, 3)]
  """
  while first < len(offsets) - 1:
    most = offsets[first] + _BLOCK_TOKENS
    last = int(np.searchsorted(offsets, most, side="right")) - 1
    last = max(last, first + 1)
    yield first, last
    first = last


def _encoded(
  examples: Examples,
  first: int,
  last: int,
  *,
  encode: Encode,
  width: int,
  max_length: int,
) -> np.ndarray:
  """Computes the states of a block, inputs of about one length at a time.

  An input that stands in it several times is computed once.
  """
  offsets = examples.offsets[first : last + 1]
  tokens = examples.tokens[offsets[0] : offsets[-1]]
  starts, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
  same = _first_like_it(tokens, starts, lengths)
  padded = np.array([_rounded(length) for length in lengths.tolist()])
  padded = np.minimum(padded, max_length)
  running = []
  for length in np.unique(padded).tolist():
    members = np.flatnonzero(
      (padded == length) & (same == np.arange(len(same)))
    )
    for rows in _batches(members, max(1, _BATCH_TOKENS // length)):
      within = np.arange(length)
      used = within < lengths[rows, None]  # [B, L]
      places = starts[rows, None] + within
      inputs = np.zeros(used.shape, np.int32)
      inputs[used] = tokens[places[used]]
      running.append((places[used], used, encode(inputs)))  # not waited for
  out = np.empty((len(tokens), width), _DTYPE)
  with np.errstate(over="ignore"):  # is found later
    for places, used, found in running:
      out[places] = np.asarray(found)[used]
  for i in np.flatnonzero(same != np.arange(len(same))):
    theirs, mine = starts[same[i]], starts[i]
    out[mine : mine + lengths[i]] = out[theirs : theirs + lengths[i]]
  return out


def _first_like_it(
  tokens: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
  """Returns for each input the first one that has the same tokens.

  >>> tokens = np.array([7, 8, 7, 7, 8])
  >>> _first_like_it(tokens, np.array([0, 2, 3]), np.array([2, 1, 2])).tolist()
  [0, 1, 0]
  """
  seen: dict[bytes, int] = {}
  spans = zip(starts.tolist(), lengths.tolist(), strict=True)
  found = [
    seen.setdefault(tokens[start : start + length].tobytes(), i)
    for i, (start, length) in enumerate(spans)
  ]
  return np.array(found)


def _batches(members: np.ndarray, size: int) -> Iterator[np.ndarray]:
  """Yields batches of one size; the last has its first row again and again.

  >>> [batch.tolist() for batch in _batches(np.array([4, 5, 7]), 2)]
  [[4, 5], [7, 7]]
  """
  for start in range(0, len(members), size):
    rows = members[start : start + size]
    yield np.append(rows, np.repeat(rows[:1], size - len(rows)))


def _rounded(length: int) -> int:
  """Returns the length that an input is padded to.

  >>> [_rounded(length) for length in (3, 17, 500, 513)]
  [16, 24, 512, 1024]
  """
  fitting = (size for size in _LENGTHS if size >= length)
  return next(fitting, -(-length // _LENGTHS[-1]) * _LENGTHS[-1])


def _check_finite(block: np.ndarray, label: str) -> None:
  if not np.isfinite(block).all():
    raise ConfigError(
      f"States of {label} are no numbers, or too large for float16. Check the "
      "encoder's weights, or compute states in every step: "
      "TrainConfig.cache_states = False."
    )
