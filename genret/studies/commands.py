"""Commands of genret, each alone on a core, and what they cost."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import genret
from genret.core.errors import UserError

_ROOT = Path(genret.__file__).resolve().parents[1]

# Ends with the process that started it, and keeps to one core.
_ALONE = """
import ctypes, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)  # not ignored, as after `&`
if sys.platform == "linux":
  ctypes.CDLL(None).prctl(1, signal.SIGKILL)
  os.sched_setaffinity(0, {int(sys.argv[1])})
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
_COMPLAINT = "error: "  # what genret's own messages begin with


class FailedError(UserError):
  """A command did not end well; the message says why and where to look."""


class StoppedError(Exception):
  """The study was told to stop."""


class BusyError(Exception):
  """Another process is at work on the same."""


class Log:
  """Lines with their time, on standard error and in a file."""

  def __init__(self, path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    self._path = path
    self._lock = threading.Lock()

  def __call__(self, text: str) -> None:
    """Writes a line."""
    line = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}"
    with self._lock:
      print(line, file=sys.stderr, flush=True)
      with open(self._path, "a", encoding="utf-8") as file:
        file.write(f"{line}\n")


class Commands:
  """Runs commands of genret, each alone on a core, until told to stop.

  A command ends with the process that started it, however that ends.

  Attributes:
    say: Takes lines for the log.
  """

  def __init__(self, say: Callable[[str], None]):
    self.say = say
    self._processes: set[subprocess.Popen] = set()
    self._lock = threading.Lock()
    self._stopped = False

  def run(self, arguments: Sequence[str], *, log: Path, core: int) -> float:
    """Runs `genret ARGUMENTS` to its end.

    Args:
      arguments: Of genret.
      log: What it prints is appended there.
      core: The only one that it may use.

    Returns:
      Its CPU-seconds, of all threads and children.

    Raises:
      FailedError: It ended with another code than 0.
      StoppedError: `stop` was called.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as file:
      file.write(f"\n$ genret {' '.join(arguments)}\n".encode())
      file.flush()
      begun = file.tell()
      process = self._start(arguments, file, core)
      _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    with self._lock:
      self._processes.discard(process)
      if self._stopped:
        raise StoppedError
    if process.returncode:
      raise FailedError(
        f"genret {arguments[0]} ended with {process.returncode}:"
        f" {complaint(log, begun)}; see {log}"
      )
    return usage.ru_utime + usage.ru_stime

  def stop(self) -> None:
    """Interrupts what runs; it goes on from there the next time."""
    with self._lock:
      self._stopped = True
      for process in self._processes:
        process.send_signal(signal.SIGINT)

  def _start(
    self, arguments: Sequence[str], file: object, core: int
  ) -> subprocess.Popen:
    command = [sys.executable, "-c", _ALONE, str(core)]
    command += ["-m", "genret.cli.main", *arguments]
    places = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    with self._lock:
      if self._stopped:
        raise StoppedError
      process = subprocess.Popen(
        command,
        stdout=file,
        stderr=file,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is ours to pass on
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
      )
      self._processes.add(process)
    return process


def complaint(log: Path, begun: int) -> str:
  """Returns the line of a log that says best what went wrong.

  genret's own message or, of a fault, the last line.

  Args:
    log: The file.
    begun: Where in it the command's own lines begin.
  """
  with open(log, "rb") as file:
    file.seek(begun)
    text = file.read().decode("utf-8", "replace")
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  own = [line for line in lines if line.startswith(_COMPLAINT)]
  found = (own or lines or ["it printed nothing"])[-1]
  return found.removeprefix(_COMPLAINT)


@contextlib.contextmanager
def held(path: Path, *, wait: bool) -> Iterator[None]:
  """Holds a lock that ends with the process, however that ends.

  Args:
    path: Its file.
    wait: Whether to wait for another process that holds it.

  Raises:
    BusyError: Another one does, and waiting is not wanted.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, "a", encoding="utf-8") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
      raise BusyError(str(path)) from error
    yield
