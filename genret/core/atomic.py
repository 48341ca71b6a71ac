"""Temporary siblings: files and folders on their way to their final name."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

_active: set[str] = set()  # drafts of this very process


@contextlib.contextmanager
def temporary(path: Path) -> Iterator[Path]:
  """Reserves a name beside `path`, and removes what is left there after.

  The name tells which host and process it belongs to. Drafts of `path` that
  a dead process of this host left behind are removed first.

  Args:
    path: the final name.

  Yields:
    A path in the same folder; nothing stands there yet.
  """
  path = Path(os.path.abspath(path))
  _remove_stale(path)
  owner = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
  draft = path.with_name(f".{path.name}.tmp-{owner}")
  _active.add(str(draft))
  try:
    yield draft
  finally:
    _remove(draft)
    _active.discard(str(draft))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
  """Gives a file its name once it is whole and on disk.

  Args:
    path: the final name; what stands there stays until then.

  Yields:
    A path in the same folder, to write the file to.
  """
  with temporary(path) as draft:
    yield draft
    flush_file(draft)
    os.replace(draft, path)
  flush_folder(Path(path).parent)


def fill(folder: Path, make: Callable[[Path], object]) -> None:
  """Makes a folder that takes its name when whole; leaves one that stands.

  Of two processes that make the same folder at once the first gives it its
  name. The other then leaves that one, which is as whole as its own.

  Args:
    folder: the final name.
    make: called with a path at which nothing stands yet; makes the folder.
  """
  if folder.exists():
    return
  with temporary(folder) as draft:
    make(draft)
    flush_tree(draft)
    try:
      os.rename(draft, folder)
    except OSError as error:
      if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
        raise
  flush_folder(folder.parent)


def is_draft(path: Path) -> bool:
  """Tells by its name whether a path is on its way to another.

  >>> is_draft(Path("out/.recipe.json.tmp-host-17-0123abcd"))
  True
  """
  return bool(re.fullmatch(r"\..+\.tmp-.*-\d+-[0-9a-f]{8}", path.name))


def flush_tree(folder: Path) -> None:
  """Flushes every file and folder under a folder, and itself, to disk."""
  for parent, _, names in os.walk(folder):
    for name in names:
      flush_file(Path(parent, name))
    flush_folder(Path(parent))


def flush_folder(folder: Path) -> None:
  """Flushes a folder's list of names to disk."""
  flush_file(folder)


def flush_file(path: Path) -> None:
  """Flushes a file to disk."""
  handle = os.open(path, os.O_RDONLY)
  try:
    os.fsync(handle)
  finally:
    os.close(handle)


def _host() -> str:
  return re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())


def _remove_stale(path: Path) -> None:
  pattern = re.compile(
    re.escape(f".{path.name}.tmp-{_host()}-") + r"(\d+)-[0-9a-f]{8}"
  )
  if not path.parent.is_dir():
    return
  for sibling in path.parent.iterdir():
    match = pattern.fullmatch(sibling.name)
    if match and not _in_use(sibling, int(match[1])):
      _remove(sibling)


def _in_use(draft: Path, pid: int) -> bool:
  """Tells whether the process that owns a draft still works on it."""
  if pid == os.getpid():  # a number used again, unless it is ours
    return str(draft) in _active
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  except PermissionError:
    return True
  return True


def _remove(path: Path) -> None:
  if path.is_dir() and not path.is_symlink():
    shutil.rmtree(path, ignore_errors=True)
  else:
    path.unlink(missing_ok=True)
