"""Running a study: what cells share once, then each cell on a core of its own.

Killed at any moment, the same command goes on: what is finished is not made
again, and training goes on from its last checkpoint.
"""

import contextlib
import dataclasses
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from genret.core.errors import ConfigError
from genret.studies import contrasts, grid, listing, table
from genret.studies.cells import Worker
from genret.studies.commands import Commands, Log
from genret.studies.crew import Crew
from genret.studies.grid import Cell, Study
from genret.studies.layout import Layout
from genret.studies.settings import ReadCommand, Reader


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
  """Which cells, and how.

  Attributes:
    jobs: Cells at a time, a core each.
    only: Filters, AXIS=CHOICE joined by commas; a cell that one of them names
      is wanted. None at all for every cell.
    shard: i/n: every n-th cell from the i-th on, for one of n machines.
    dry_run: Whether cells are listed and nothing is run.
    report: Whether the tables are made, and nothing is run.
    keep_models: Whether checkpoints stay when a cell has its figures.
  """

  jobs: int = 1
  only: tuple[str, ...] = ()
  shard: str = "1/1"
  dry_run: bool = False
  report: bool = False
  keep_models: bool = False

  def __post_init__(self):
    if self.jobs < 1:
      raise ConfigError(f"jobs is {self.jobs}; expected 1 or more.")

  def of(self, study: Study) -> list[Cell]:
    """Returns the cells of a study that are wanted."""
    return grid.shard(grid.chosen(study.cells(), self.only), self.shard)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
  """What a study came to.

  Attributes:
    text: The list of cells, or the tables.
    failed: Name of each cell that failed -> why.
    interrupted: Whether it was told to stop.
  """

  text: str
  failed: dict[str, str] = dataclasses.field(default_factory=dict)
  interrupted: bool = False

  @property
  def exit_code(self) -> int:
    """Of the command: 0 where all went well."""
    if self.interrupted:
      return 130
    return 1 if self.failed else 0


def run(
  study: Study,
  workdir: Path,
  *,
  wanted: Wanted = Wanted(),
  read_command: ReadCommand | None = None,
) -> Outcome:
  """Runs the cells that are wanted and not done, or says how they stand.

  Args:
    study: The grid.
    workdir: Where everything goes: `shared/`, `calibrations/`, `states/`,
      `cells/`, `logs/`, `log.txt`, `results.md`, `results.csv`.
    wanted: Which cells.
    read_command: From the arguments of genret to what its gin files make of
      them, by which mistakes are found before anything runs.

  Returns:
    The list or the tables, and which cells failed; the others have run.

  Raises:
    ConfigError: If a command of a wanted cell, or a contrast, cannot be right.
  """
  layout = Layout(study=study, workdir=Path(workdir).absolute())
  reader = Reader(layout, read_command)
  contrasts.check(study)
  cells = wanted.of(study)
  able = [cell for cell in cells if layout.lack(cell) is None]
  reader.check(able)
  commands = Commands(lambda text: None)
  worker = Worker(layout=layout, reader=reader, commands=commands)
  if wanted.dry_run:
    return Outcome(text=listing.listing(worker, cells))
  if wanted.report:
    return Outcome(text=table.write(worker, study.cells()))
  commands.say = Log(layout.workdir / "log.txt")
  worker = dataclasses.replace(worker, keep_models=wanted.keep_models)
  return _run(worker, cells, jobs=wanted.jobs)


def _run(worker: Worker, cells: Sequence[Cell], *, jobs: int) -> Outcome:
  layout, say = worker.layout, worker.commands.say
  todo, done = [], []
  for cell in cells:
    if (missing := layout.lack(cell)) is not None:
      say(f"{cell.name}: left out, {missing}")
    elif worker.is_done(cell):
      worker.tidy(cell)
      done.append(cell)
    else:
      todo.append(cell)
  say(f"{len(todo)} cells to run, {len(done)} are done")
  crew = Crew(worker, jobs=jobs)
  with _interruptible():
    try:
      crew.work(todo, done=done)
    except KeyboardInterrupt:
      say("interrupted; the same command goes on from here")
      return Outcome(text="", failed=crew.failed, interrupted=True)
  text = table.write(worker, layout.study.cells())
  return Outcome(text=text, failed=crew.failed)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
  """Turns SIGINT and SIGTERM into KeyboardInterrupt; `&` ignores one."""
  numbers = (signal.SIGINT, signal.SIGTERM)
  before = [signal.signal(n, signal.default_int_handler) for n in numbers]
  try:
    yield
  finally:
    for number, handler in zip(numbers, before, strict=True):
      signal.signal(number, handler)
