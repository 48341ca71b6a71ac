"""Millions of docnos without millions of strings in memory."""

import contextlib
import functools
import hashlib
import itertools
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from genret.core.errors import UserError
from genret.core.fingerprints import fingerprints

TEXT = "docnos.bytes"
OFFSETS = "offsets.npy"

_BLOCK = 65536


class Docnos(Sequence[str]):
  """A list of strings in two arrays, which can be memory-mapped.

  >>> docnos = Docnos.from_strings(["d1", "é"])
  >>> docnos[1], len(docnos), list(docnos)
  ('é', 2, ['d1', 'é'])
  >>> docnos.rows(["é", "é", "d1"])
  array([1, 1, 0], dtype=int32)

  Args:
    text: UTF-8 of all docnos, end to end, uint8.
    offsets: where each begins, and where the last ends, int64 [N + 1].
  """

  def __init__(self, text: np.ndarray, offsets: np.ndarray):
    self._text = text
    self._offsets = offsets

  @classmethod
  def from_strings(cls, docnos: Iterable[str]) -> "Docnos":
    """Packs strings."""
    if isinstance(docnos, Docnos):
      return docnos
    encoded = [docno.encode("utf-8") for docno in docnos]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

  def save(self, folder: Path) -> None:
    """Writes docnos.bytes and offsets.npy."""
    with open(folder / TEXT, "wb") as file:
      file.write(memoryview(np.ascontiguousarray(self._text)))
    np.save(folder / OFFSETS, self._offsets)

  @classmethod
  def load(cls, folder: Path) -> "Docnos":
    """Opens saved docnos, memory-mapped."""
    path = folder / TEXT
    # Plain views: an item of a memmap costs ten times an item of an array.
    offsets = np.load(folder / OFFSETS, mmap_mode="r").view(np.ndarray)
    if path.stat().st_size != offsets[-1]:
      raise ValueError(
        f"{path} has {path.stat().st_size} bytes; {offsets[-1]} are expected"
      )
    if offsets[-1] == 0:  # an empty file cannot be mapped
      return cls(np.zeros(0, np.uint8), offsets)
    return cls(np.memmap(path, np.uint8, mode="r").view(np.ndarray), offsets)

  @functools.cached_property
  def checksum(self) -> str:
    """SHA-256 of the docnos, one a line: `sha256sum` of such a list."""
    digest = hashlib.sha256()
    for block in self._blocks():
      text = np.insert(block._text, block._offsets[1:], ord("\n"))
      digest.update(text.data)
    return digest.hexdigest()

  def take(self, rows: np.ndarray) -> "Docnos":
    """Copies the docnos of some rows [M], in their order."""
    rows = np.asarray(rows, np.int64)
    if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
      raise IndexError(f"rows are 0 to {len(self) - 1}")
    starts = self._offsets[rows]
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(self._offsets[rows + 1] - starts, out=offsets[1:])
    text = np.empty(offsets[-1], np.uint8)
    for i in range(0, len(rows), _BLOCK):
      bounds = offsets[i : i + _BLOCK + 1]
      shifts = np.repeat(starts[i : i + _BLOCK] - bounds[:-1], np.diff(bounds))
      places = np.arange(bounds[0], bounds[-1])
      text[bounds[0] : bounds[-1]] = self._text[shifts + places]
    return Docnos(text, offsets)

  def find(self, docnos: Iterable[str]) -> np.ndarray:
    """Looks up where docnos stand.

    Args:
      docnos: strings, or Docnos, which are looked up much faster.

    Returns:
      The first row of each, int32 [M]; -1 where it is unknown.
    """
    blocks = docnos._blocks() if isinstance(docnos, Docnos) else _packed(docnos)
    found = [self._find(block) for block in blocks]
    return np.concatenate([np.zeros(0, np.int32), *found])

  def rows(self, docnos: Iterable[str]) -> np.ndarray:
    """Looks up docnos that must all be there; else as `find`.

    Raises:
      UserError: names the first unknown one.
    """
    if not isinstance(docnos, Sequence):
      docnos = list(docnos)
    found = self.find(docnos)
    unknown = np.flatnonzero(found < 0)
    if len(unknown):
      raise UserError(
        f"No document has the docno {docnos[int(unknown[0])]!r}"
        f" ({len(unknown):,} of {len(found):,} docnos are unknown among"
        f" {len(self):,} documents)."
      )
    return found

  def __len__(self) -> int:
    return len(self._offsets) - 1

  @overload
  def __getitem__(self, index: int) -> str: ...

  @overload
  def __getitem__(self, index: slice) -> list[str]: ...

  def __getitem__(self, index: int | slice) -> str | list[str]:
    if isinstance(index, slice):
      found = range(len(self))[index]
      if found.step == 1:
        return list(self._view(found.start, max(found.start, found.stop)))
      return [self[i] for i in found]
    i = range(len(self))[index]
    start, end = self._offsets[i : i + 2]
    return self._text[start:end].tobytes().decode("utf-8")

  def __contains__(self, docno: object) -> bool:
    return isinstance(docno, str) and bool(self.find([docno])[0] >= 0)

  def __iter__(self) -> Iterator[str]:
    for block in self._blocks():
      text, ends = block._text.tobytes(), block._offsets.tolist()
      for start, end in itertools.pairwise(ends):
        yield text[start:end].decode("utf-8")

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Sequence) or isinstance(other, str):
      return NotImplemented
    if len(self) != len(other):
      return False
    if not isinstance(other, Docnos):
      return all(a == b for a, b in zip(self, other, strict=True))
    pairs = zip(self._blocks(), other._blocks(), strict=True)
    return all(
      np.array_equal(a._offsets, b._offsets)
      and np.array_equal(a._text, b._text)
      for a, b in pairs
    )

  __hash__ = None

  def __repr__(self) -> str:
    return f"Docnos({len(self)} docnos)"

  def _view(self, start: int, stop: int) -> "Docnos":
    bounds = self._offsets[start : stop + 1]
    text = self._text[bounds[0] : bounds[-1]]
    return Docnos(text, bounds - bounds[0])

  def _blocks(self) -> "Iterator[Docnos]":
    for start in range(0, len(self), _BLOCK):
      yield self._view(start, min(start + _BLOCK, len(self)))

  @functools.cached_property
  def _index(self) -> tuple[np.ndarray, np.ndarray]:
    """All fingerprints in order, and the row of each."""
    hashes = fingerprints(self._text, self._offsets)
    order = np.argsort(hashes, kind="stable").astype(np.int32)
    return hashes[order], order

  def _find(self, wanted: "Docnos") -> np.ndarray:
    known, order = self._index
    hashes = fingerprints(wanted._text, wanted._offsets)
    found = np.full(len(wanted), -1, np.int32)
    pending = np.arange(len(wanted))
    places = np.searchsorted(known, hashes)
    while len(pending):
      alike = places < len(known)
      alike[alike] = known[places[alike]] == hashes[pending[alike]]
      pending, places = pending[alike], places[alike]
      rows = order[places]
      same = _same(self.take(rows), wanted.take(pending))
      found[pending[same]] = rows[same]
      # Another string of the same fingerprint: ours may stand behind it.
      pending, places = pending[~same], places[~same] + 1
    return found


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Callable[[str], None]]:
  """Writes docnos one by one: yields the function that adds one."""
  offsets = array("q", [0])
  with open(folder / TEXT, "wb") as file:

    def add(docno: str) -> None:
      offsets.append(offsets[-1] + file.write(docno.encode("utf-8")))

    yield add
  np.save(folder / OFFSETS, np.frombuffer(offsets, np.int64))


def _packed(docnos: Iterable[str]) -> Iterator[Docnos]:
  strings = iter(docnos)
  while block := list(itertools.islice(strings, _BLOCK)):
    yield Docnos.from_strings(block)


def _same(ours: Docnos, theirs: Docnos) -> np.ndarray:
  """Compares docnos pair by pair; bool [M]."""
  lengths = np.diff(ours._offsets)
  same = lengths == np.diff(theirs._offsets)
  rows = np.flatnonzero(same)
  differs = ours.take(rows)._text != theirs.take(rows)._text
  same[np.repeat(rows, lengths[rows])[differs]] = False
  return same
