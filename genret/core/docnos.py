"""Millions of docnos without millions of strings in memory."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np


class Docnos(Sequence[str]):
  """A list of strings in two arrays, which can be memory-mapped.

  >>> docnos = Docnos.from_strings(["d1", "é"])
  >>> docnos[1], len(docnos), list(docnos)
  ('é', 2, ['d1', 'é'])

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
    with open(folder / "docnos.bytes", "wb") as file:
      file.write(memoryview(np.ascontiguousarray(self._text)))
    np.save(folder / "offsets.npy", self._offsets)

  @classmethod
  def load(cls, folder: Path) -> "Docnos":
    """Opens saved docnos, memory-mapped."""
    path = folder / "docnos.bytes"
    offsets = np.load(folder / "offsets.npy", mmap_mode="r")
    if path.stat().st_size != offsets[-1]:
      raise ValueError(
        f"{path} has {path.stat().st_size} bytes; {offsets[-1]} are expected"
      )
    if offsets[-1] == 0:  # an empty file cannot be mapped
      return cls(np.zeros(0, np.uint8), offsets)
    return cls(np.memmap(path, np.uint8, mode="r"), offsets)

  def __len__(self) -> int:
    return len(self._offsets) - 1

  @overload
  def __getitem__(self, index: int) -> str: ...

  @overload
  def __getitem__(self, index: slice) -> list[str]: ...

  def __getitem__(self, index: int | slice) -> str | list[str]:
    if isinstance(index, slice):
      return [self[i] for i in range(*index.indices(len(self)))]
    i = range(len(self))[index]
    start, end = self._offsets[i : i + 2]
    return self._text[start:end].tobytes().decode("utf-8")

  def __iter__(self) -> Iterator[str]:
    return (self[i] for i in range(len(self)))

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Sequence) or isinstance(other, str):
      return NotImplemented
    return len(self) == len(other) and all(
      a == b for a, b in zip(self, other, strict=True)
    )

  __hash__ = None

  def __repr__(self) -> str:
    return f"Docnos({len(self)} docnos)"
