"""The memory that a process and its children hold, watched from outside."""

import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

_EVERY = 0.05  # seconds between two looks
_OURS = ("RssAnon", "RssShmem")


def run(command: Sequence[str], *, log: Path) -> float:
  """Runs a command to its end and watches its memory.

  Args:
    command: what to run.
    log: where what it prints goes.

  Returns:
    The most anonymous and shared memory that it and its children held
    together, in GiB. Pages of mapped files are not counted: the system
    takes them back when it wants to.

  Raises:
    RuntimeError: the command failed; its last lines are in the message.
  """
  with open(log, "wb") as file:
    process = subprocess.Popen(command, stdout=file, stderr=file)
    watcher = _Watcher(process.pid)
    watcher.start()
    code = process.wait()
    watcher.stop()
  if code:
    tail = log.read_text(errors="replace").splitlines()[-12:]
    raise RuntimeError(
      "\n".join([f"{' '.join(command)} ended with {code}:"] + tail)
    )
  return watcher.peak / 2**20


class _Watcher(threading.Thread):
  """Looks at a family of processes until it is told to stop."""

  def __init__(self, root: int):
    super().__init__(daemon=True)
    self._root = root
    self._done = threading.Event()
    self.peak = 0  # KiB

  def run(self) -> None:
    while not self._done.wait(_EVERY):
      total = sum(map(_kibibytes, _family(self._root)))
      self.peak = max(self.peak, total)

  def stop(self) -> None:
    self._done.set()
    self.join()


def _family(root: int) -> list[int]:
  """Lists a process and all below it."""
  children: dict[int, list[int]] = {}
  for name in os.listdir("/proc"):
    if name.isdigit() and (parent := _parent(name)) is not None:
      children.setdefault(parent, []).append(int(name))
  found = [root]
  for process in found:
    found += children.get(process, [])
  return found


def _parent(process: str) -> int | None:
  try:
    stat = Path("/proc", process, "stat").read_text()
  except OSError:  # it has ended
    return None
  return int(stat.rpartition(")")[2].split()[1])


def _kibibytes(process: int) -> int:
  try:
    lines = Path("/proc", str(process), "status").read_text().splitlines()
  except OSError:
    return 0
  fields = dict(line.split(":", 1) for line in lines)
  return sum(int(fields.get(name, "0 kB").split()[0]) for name in _OURS)
