"""The files of a collection: in a folder or an archive, plain or gzipped."""

import contextlib
import dataclasses
import gzip
import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import tqdm

from genret.core.errors import ConfigError, DataError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BROKEN = (EOFError, OSError, lzma.LZMAError, tarfile.TarError, zlib.error)
"""What reading a damaged file raises, plain, compressed or in an archive."""

_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Line:
  """One item of a source as it came, and where it stands.

  Attributes:
    path: the file, as a message names it.
    number: the line, counted from 1.
    value: the line's bytes, or whatever a library gave.
  """

  path: str
  number: int
  value: Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
  """A file that can be read any number of times.

  Attributes:
    label: what a message calls it.
    stored: the file on disk, which for a member is its archive.
    stream: opens its bytes, decompressed if the name ends in .gz.
  """

  label: str
  stored: Path
  stream: Callable[[], AbstractContextManager[IO[bytes]]]

  def lines(self) -> Iterator[Line]:
    """Yields its lines, without line ends and byte order mark.

    Raises:
      DataError: the file is empty or cannot be decompressed.
    """
    number = 0
    try:
      with self.stream() as stream:
        for number, raw in enumerate(stream, start=1):
          mark = _BYTE_ORDER_MARK if number == 1 else b""
          value = raw.removeprefix(mark).rstrip(b"\r\n")
          yield Line(path=self.label, number=number, value=value)
    except BROKEN as error:
      raise DataError(
        f"cannot be read on: {error}. Is the file whole?",
        path=self.label,
        line=number + 1,
      ) from error
    if number == 0:
      raise DataError("the file is empty", path=self.label)


def find(root: Path, *, marker: str) -> dict[str, File]:
  """Lists the files of a collection.

  Args:
    root: a folder, or a tar archive that holds one, compressed or not.
    marker: the name of a file that stands at the collection's top.

  Returns:
    Path below the top, without .gz -> file.

  Raises:
    DataError: there is no such root, or no marker in it.
    ConfigError: a file is there both plain and gzipped.
  """
  found = _files(Path(root))
  markers = {marker, f"{marker}.gz"}
  tops = sorted(
    (len(path.parts), path.parent) for path in found if path.name in markers
  )
  if not tops:
    raise DataError(f"holds no {marker}, plain or .gz", path=root)
  return _below(tops[0][1], found)


def names(root: Path) -> set[str]:
  """Lists the names of all files in a folder or archive, without .gz."""
  return {path.name.removesuffix(".gz") for path in _files(Path(root))}


def digests(files: Mapping[str, File]) -> dict[str, str]:
  """Hashes files as they lie on disk, which identifies what was read.

  Args:
    files: name -> file.

  Returns:
    Name -> SHA-256; an archive stands once, under the name "archive".
  """
  archives = {file.stored for file in files.values() if _is_member(file)}
  stored = {name: file.stored for name, file in sorted(files.items())}
  if archives:
    stored = {"archive": archives.pop()}
  return {name: _digest(path) for name, path in stored.items()}


def _is_member(file: File) -> bool:
  return file.label != str(file.stored)


def _digest(path: Path) -> str:
  digest = hashlib.sha256()
  with (
    open(path, "rb") as file,
    tqdm.tqdm(
      total=path.stat().st_size,
      desc=f"hashing {path.name}",
      unit="B",
      unit_scale=True,
      delay=2,
      leave=False,
    ) as progress,
  ):
    while chunk := file.read(_CHUNK):
      digest.update(chunk)
      progress.update(len(chunk))
  return digest.hexdigest()


def _files(root: Path) -> dict[PurePosixPath, File]:
  if root.is_dir():
    return dict(_folder_files(root))
  if root.is_file():
    return dict(_archive_files(root))
  raise DataError("no such file or folder", path=root)


def _below(
  top: PurePosixPath, found: Mapping[PurePosixPath, File]
) -> dict[str, File]:
  out: dict[str, File] = {}
  for path, file in sorted(found.items()):
    if not path.is_relative_to(top):
      continue
    name = str(path.relative_to(top)).removesuffix(".gz")
    if name in out:
      raise ConfigError(
        f"{out[name].label} stands there plain and as .gz; keep one of them."
      )
    out[name] = file
  return out


def _folder_files(root: Path) -> Iterator[tuple[PurePosixPath, File]]:
  for path in (*root.glob("*"), *root.glob("*/*")):
    if path.is_file():
      name = PurePosixPath(path.relative_to(root).as_posix())
      yield name, _on_disk(path)


def _on_disk(path: Path) -> File:
  opener = gzip.open if path.name.endswith(".gz") else open
  return File(label=str(path), stored=path, stream=lambda: opener(path, "rb"))


def _archive_files(root: Path) -> Iterator[tuple[PurePosixPath, File]]:
  try:
    with tarfile.open(root) as archive:
      names = [member.name for member in archive if member.isfile()]
  except BROKEN as error:
    raise DataError(
      f"is neither a folder nor a readable tar archive: {error}", path=root
    ) from error
  for name in names:
    yield PurePosixPath(name), _member(root, name)


def _member(root: Path, name: str) -> File:
  @contextlib.contextmanager
  def stream() -> Iterator[IO[bytes]]:
    with contextlib.ExitStack() as stack:
      archive = stack.enter_context(tarfile.open(root))
      inner = stack.enter_context(archive.extractfile(_seek(archive, name)))
      if name.endswith(".gz"):
        inner = stack.enter_context(gzip.open(inner))
      yield inner

  return File(label=f"{root}/{name}", stored=root, stream=stream)


def _seek(archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
  """Goes to a member without reading the archive to its end."""
  for member in archive:
    if member.name == name and member.isfile():
      return member
  raise tarfile.TarError(f"no member {name}")
