"""Commands of genret, each alone on a core, and what they cost."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Ends with the process that started it, and keeps to one core.
_ALONE = """
import ctypes, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)  # not ignored, as after `&`
if sys.platform == "linux":
  ctypes.CDLL(None).prctl(1, signal.SIGKILL)
  os.sched_setaffinity(0, {int(sys.argv[1])})
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class Failed(Exception):
  """A command did not end well; the message says where to look."""


class Stopped(Exception):
  """The study was told to stop."""


class Commands:
  """Runs commands of genret, each alone on a core, until told to stop.

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
      Failed: It ended with another code than 0.
      Stopped: `stop` was called.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", _ALONE, str(core)]
    command += ["-m", "genret.cli.main", *arguments]
    places = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    with open(log, "ab") as file:
      file.write(f"\n$ genret {' '.join(arguments)}\n".encode())
      file.flush()
      with self._lock:
        if self._stopped:
          raise Stopped
        process = subprocess.Popen(
          command,
          stdout=file,
          stderr=file,
          stdin=subprocess.DEVNULL,
          start_new_session=True,  # Ctrl-C is ours to pass on
          env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        )
        self._processes.add(process)
      _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    with self._lock:
      self._processes.discard(process)
      if self._stopped:
        raise Stopped
    if process.returncode:
      raise Failed(
        f"genret {arguments[0]} ended with {process.returncode}; see {log}"
      )
    return usage.ru_utime + usage.ru_stime

  def stop(self) -> None:
    """Interrupts what runs; it goes on from there the next time."""
    with self._lock:
      self._stopped = True
      for process in self._processes:
        process.send_signal(signal.SIGINT)
