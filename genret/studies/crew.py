"""Work in parallel, each piece with a core to itself; failures are noted."""

import concurrent.futures
import os
import queue
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from genret.core import artifacts
from genret.core.errors import UserError
from genret.studies import pipeline
from genret.studies.cells import Worker
from genret.studies.commands import BusyError, StoppedError
from genret.studies.grid import Cell

BUSY = "another process is at work on it"


class Crew:
  """Does the work of a study.

  Args:
    worker: Knows how.
    jobs: How many pieces at a time.

  Attributes:
    failed: Name of each cell that failed -> why.
  """

  def __init__(self, worker: Worker, *, jobs: int):
    self._worker = worker
    self._jobs = jobs
    self.failed: dict[str, str] = {}

  def work(self, cells: Sequence[Cell], *, done: Sequence[Cell] = ()) -> None:
    """Runs cells: what they share, a calibration of each setting, themselves.

    A piece that fails is noted, what needs it is left, all else goes on.

    Args:
      cells: To be run.
      done: Others, whose baselines may still be to make.
    """
    for command in pipeline.SHARED:
      cells = self._share(command, cells, done)
    cells = self._calibrate(cells)
    names = [cell.name for cell in cells]
    why = self._all(self._worker.run, cells, names)
    for cell, error in zip(cells, why, strict=True):
      self._note(cell, error)

  def _share(
    self, command: str, cells: Sequence[Cell], done: Sequence[Cell]
  ) -> list[Cell]:
    """Makes what cells share; returns those that have what they need.

    Baselines may fail, and what only they read: no cell needs them.
    """
    layout = self._worker.layout
    every = [task for cell in cells for task in layout.shared(cell)]
    every += [task for cell in done for task in layout.beside(cell)]
    tasks = {t.folder: t for t in every if t.arguments[0] == command}
    names = [task.name for task in tasks.values()]
    found = self._all(self._worker.share, list(tasks.values()), names)
    why = {
      folder: f"{task.name}: {error}"
      for (folder, task), error in zip(tasks.items(), found, strict=True)
      if error
    }
    for cell in cells:
      own = layout.needed(cell)
      lost = [why[task.folder] for task in own if task.folder in why]
      self._note(cell, lost[0] if lost else None)
    return [cell for cell in cells if cell.name not in self.failed]

  def _calibrate(self, cells: Sequence[Cell]) -> list[Cell]:
    """Calibrates each setting once; returns the cells whose setting is."""
    settings = {cell.setting: cell for cell in cells}
    names = [f"calibration of {name}" for name in settings]
    found = self._all(self._worker.calibrate, list(settings.values()), names)
    why = dict(zip(settings, found, strict=True))
    for cell in cells:
      error = why[cell.setting]
      self._note(cell, error and f"calibration: {error}")
    return [cell for cell in cells if cell.name not in self.failed]

  def _note(self, cell: Cell, error: str | None) -> None:
    if error and error != BUSY:
      self.failed[cell.name] = error
      artifacts.write_text(self._worker.layout.failure(cell), error + "\n")

  def _all(
    self,
    work: Callable[[Any, int], Any],
    items: Sequence[Any],
    names: Iterable[str],
  ) -> list[str | None]:
    """Does some work on all items; returns of each why it failed, or None."""
    cores: queue.Queue[int] = queue.Queue()
    for job in range(self._jobs):
      cores.put(core(job))

    def one(item: Any, name: str) -> str | None:
      mine = cores.get()
      try:
        work(item, mine)
      except StoppedError:
        return None  # whoever told it to stop knows
      except BusyError:
        self._worker.commands.say(f"{name}: left, {BUSY}")
        return BUSY
      except Exception as error:  # one cell's; the others go on
        why = str(error) if isinstance(error, UserError) else repr(error)
        self._worker.commands.say(f"{name}: FAILED, {why}")
        return why
      finally:
        cores.put(mine)
      return None

    with concurrent.futures.ThreadPoolExecutor(self._jobs) as pool:
      pairs = zip(items, names, strict=True)
      waiting = [pool.submit(one, *pair) for pair in pairs]
      try:
        return [done.result() for done in waiting]
      except BaseException:
        self._worker.commands.stop()
        pool.shutdown(cancel_futures=True)
        raise


def core(job: int) -> int:
  """Returns the core of a job: those that this process may use, in turn."""
  if not hasattr(os, "sched_getaffinity"):
    return job
  available = sorted(os.sched_getaffinity(0))
  return available[job % len(available)]
