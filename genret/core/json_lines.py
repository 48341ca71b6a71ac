"""Files of one JSON object a line, read in order or by row."""

import array
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genret.core.errors import DataError

_encode = json.JSONEncoder(ensure_ascii=False).encode


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> np.ndarray:
  """Writes one line a row.

  Args:
    path: the file.
    rows: taken one by one.

  Returns:
    Where each line begins and the last one ends, in bytes, int64 [N + 1].
  """
  offsets = array.array("q", [0])
  with open(path, "wb") as file:
    for row in rows:
      size = file.write(_encode(row).encode("utf-8") + b"\n")
      offsets.append(offsets[-1] + size)
  return np.frombuffer(offsets, np.int64)


def read(path: Path) -> Iterator[dict[str, Any]]:
  """Yields the rows, in the order of the file.

  Raises:
    DataError: a line is broken.
  """
  with open(path, "rb") as file:
    for number, line in enumerate(file, start=1):
      yield _parsed(line, path, number)


def read_rows(
  path: Path, offsets: np.ndarray, rows: Iterable[int]
) -> Iterator[dict[str, Any]]:
  """Yields chosen rows, in the order in which they are named.

  Args:
    path: what `write` wrote.
    offsets: what it returned.
    rows: counted from 0; ascending ones are read fastest.

  Raises:
    DataError: a line is broken, or the file is shorter than it was.
  """
  with open(path, "rb") as file:
    for row in rows:
      start, end = int(offsets[row]), int(offsets[row + 1])
      line = os.pread(file.fileno(), end - start, start)
      yield _parsed(line, path, int(row) + 1)


def _parsed(line: bytes, path: Path, number: int) -> dict[str, Any]:
  try:
    return json.loads(line)
  except ValueError as error:
    raise DataError(
      f"broken JSON ({error}); make the collection anew",
      path=path,
      line=number,
    ) from error
