"""Everything a model answered, kept on disk the moment it came."""

import dataclasses
import fcntl
import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from genret.core.errors import ArtifactError, DataError
from genret.querygen.prompting import Answer, Ask

Key = tuple[str, int | None]
"""Docno and grade: what queries are asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answered:
  """An answer and how many queries it was asked for."""

  asked: int
  answer: Answer


class Answers:
  """A file of answers that only grows: a line a batch of asks.

  A line is on disk before anything else happens, and a line that a kill tore
  is cut off, so each batch is there whole or not at all. In memory is where a
  document's lines begin.

  Args:
    path: the file, there already or not.

  Raises:
    ArtifactError: another run is writing it.
    DataError: a line is broken that is not the last.
  """

  def __init__(self, path: Path):
    self._path = Path(path)
    self._lock = threading.Lock()
    self._lines: dict[Key, list[int]] = {}
    self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
      self._hold()
      self._end = self._read()
      os.ftruncate(self._handle, self._end)
    except BaseException:
      os.close(self._handle)
      raise

  def __enter__(self) -> "Answers":
    return self

  def __exit__(self, *_: object) -> None:
    os.close(self._handle)

  def add(self, asks: Sequence[Ask], answers: Sequence[Answer]) -> None:
    """Writes the answers to a batch; they are on disk when this returns."""
    rows = [
      {
        "docno": ask.docno,
        "grade": ask.grade,
        "asked": ask.n,
        **dataclasses.asdict(answer),
      }
      for ask, answer in zip(asks, answers, strict=True)
    ]
    line = json.dumps(rows, ensure_ascii=False).encode("utf-8") + b"\n"
    with self._lock:
      try:
        written = 0
        while written < len(line):
          written += os.write(self._handle, line[written:])
        os.fsync(self._handle)
      except BaseException:  # a full disk: the next line must not follow it
        os.ftruncate(self._handle, self._end)
        raise
      for ask in asks:
        self._lines.setdefault((ask.docno, ask.grade), []).append(self._end)
      self._end += len(line)

  def of(self, key: Key) -> list[Answered]:
    """Returns what was answered for a document and grade, in order."""
    return [
      _answered(row)
      for start in self._lines.get(key, ())
      for row in self._line(start)
      if (row["docno"], row["grade"]) == key
    ]

  def __bool__(self) -> bool:
    return self._end > 0

  def _hold(self) -> None:
    """Keeps others from writing until the file is closed."""
    try:
      fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise ArtifactError(
        f"Another run is writing {self._path}. Wait until it has ended, or give"
        " another folder."
      ) from error

  def _line(self, start: int) -> list[dict[str, Any]]:
    data = b""
    while not data.endswith(b"\n"):
      data += os.pread(self._handle, 1 << 16, start + len(data))
      if (end := data.find(b"\n")) >= 0:
        data = data[: end + 1]
    return json.loads(data)

  def _read(self) -> int:
    """Notes where documents' lines begin; returns where the last one ends."""
    end = 0
    with open(self._path, "rb") as file:
      for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
          break  # torn by a kill
        for docno, grade in _keys(line, self._path, number):
          self._lines.setdefault((docno, grade), []).append(end)
        end += len(line)
    return end


def _keys(line: bytes, path: Path, number: int) -> Iterator[Key]:
  try:
    for row in json.loads(line):
      yield row["docno"], row["grade"]
  except (ValueError, KeyError, TypeError) as error:
    raise DataError(
      f"no line of answers ({error}). Restore the file, or remove the folder"
      " to ask for everything anew.",
      path=path,
      line=number,
    ) from error


def _answered(row: dict[str, Any]) -> Answered:
  fields = {f.name: row[f.name] for f in dataclasses.fields(Answer)}
  for name in ("texts", "log_probabilities"):
    fields[name] = None if fields[name] is None else tuple(fields[name])
  return Answered(asked=row["asked"], answer=Answer(**fields))
