"""What a model knows before it sees the corpus: the study, cell by cell.

A cell is a collection, a starting point ("arm"), a docid scheme, a budget in
CPU-minutes and a seed. Its training is one `genret train` on one core, and the
budget holds all of it: imports, encoding texts once for frozen layers,
compiling, steps, looks at dev. A calibration of 60 steps, once for each
collection, arm and scheme, says how many steps that is; the table has the
CPU-minutes that were used.

  python tools/starting_points.py --workdir=WORKDIR --jobs=2
  python tools/starting_points.py --workdir=WORKDIR --only=squad,scratch,,10
  python tools/starting_points.py --workdir=WORKDIR --dry_run
  python tools/starting_points.py --workdir=WORKDIR --report

Killed at any moment, the same command goes on: what is finished is not made
again, and training goes on from its last checkpoint. WORKDIR/log.txt says what
happens, WORKDIR/logs/ what commands print.
"""

import argparse
import concurrent.futures
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import starting_points_cells as cells
import starting_points_report
import starting_points_runs as running
from starting_points_cells import Cell, Paths
from starting_points_commands import ROOT, Commands, Failed, Stopped
from starting_points_runs import Cost, Study

from genret.cli import gin_files
from genret.core import artifacts

BOOLQ = "../shared/data/collections/boolq_passage.tar.xz"


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the study, or says how it stands; returns an exit code."""
  parser = _parser()
  given = parser.parse_args(argv)
  _check(parser, given)
  paths = Paths(
    workdir=given.workdir.absolute(),
    sources={"squad": "squad", "boolq_passage": str(given.boolq)},
    checkpoint=given.checkpoint and given.checkpoint.absolute(),
    size=given.size,
  )
  every = cells.grid(given.minutes, given.seeds)
  wanted = cells.chosen(every, given.only)
  if given.report:
    print(starting_points_report.report(paths, wanted))
    return 0
  if given.dry_run:
    print(listing(wanted, paths))
    return 0
  study = Study(
    paths=paths,
    commands=Commands(Log(paths.workdir / "log.txt")),
    keep_models=given.keep_models,
  )
  return run(study, wanted, jobs=given.jobs)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--workdir", type=Path, required=True)
  parser.add_argument("--jobs", type=int, default=1, help="cells at a time")
  parser.add_argument(
    "--only",
    action="append",
    default=[],
    help="COLLECTION,ARM,DOCIDS,MINUTES,SEED; parts may be empty or left away;"
    " may be given several times",
  )
  parser.add_argument(
    "--minutes", type=_numbers(float), default=cells.MINUTES, help="budgets"
  )
  parser.add_argument(
    "--seeds", type=_numbers(int), help="by default 0, 1, 2 on squad, else 0"
  )
  parser.add_argument(
    "--checkpoint", type=Path, help="of span corruption, for arm span"
  )
  parser.add_argument("--size", default="mini", help="of its T5")
  parser.add_argument(
    "--boolq", type=Path, default=ROOT / BOOLQ, help="the published archive"
  )
  parser.add_argument(
    "--keep_models", action="store_true", help="keep checkpoints of cells"
  )
  how = parser.add_mutually_exclusive_group()
  how.add_argument("--dry_run", action="store_true", help="list the cells")
  how.add_argument("--report", action="store_true", help="print the tables")
  return parser


def _check(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
  """Ends with one line where a flag cannot be."""
  if given.jobs < 1:
    parser.error(f"--jobs is {given.jobs}; expected 1 or more")
  checkpoint = given.checkpoint
  if checkpoint and not (checkpoint / artifacts.MANIFEST).exists():
    parser.error(f"--checkpoint={checkpoint} is no folder of genret pretrain")
  if (
    not gin_files.shipped().joinpath(f"models/t5_1_1_{given.size}.gin").exists()
  ):
    parser.error(
      f"--size={given.size}: there is no models/t5_1_1_{given.size}.gin"
    )


def _numbers(kind: Callable[[str], Any]) -> Callable[[str], tuple]:
  def numbers(text: str) -> tuple:
    try:
      return tuple(kind(part) for part in text.split(","))
    except ValueError as error:
      raise argparse.ArgumentTypeError(
        f"{text!r} is no list of numbers, such as 10,40"
      ) from error

  return numbers


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


def run(study: Study, wanted: Sequence[Cell], *, jobs: int) -> int:
  """Runs what is wanted and not done; returns an exit code.

  A cell that fails is logged and the others go on.
  """
  paths, say = study.paths, study.commands.say
  todo = [cell for cell in wanted if not paths.result(cell).exists()]
  able = [cell for cell in todo if lack(cell, paths) is None]
  for cell in todo:
    if cell not in able:
      say(f"{cell.name}: left out, {lack(cell, paths)}")
  say(f"{len(able)} cells to run, {len(wanted) - len(todo)} are done")
  collections = list(dict.fromkeys(cell.collection for cell in able))
  for number in (signal.SIGINT, signal.SIGTERM):  # `&` makes us ignore one
    signal.signal(number, signal.default_int_handler)
  try:
    failed = _all(study, study.prepare, collections, jobs=1)
    able = [cell for cell in able if cell.collection not in failed]
    settings = {cell.setting: cell for cell in reversed(able)}
    failed += _all(study, study.calibrate, settings.values(), jobs=jobs)
    failed += _all(study, study.run, able, jobs=jobs)
  except KeyboardInterrupt:
    say("interrupted; the same command goes on from here")
    return 130
  return 1 if failed else 0


def _all(
  study: Study, work: Callable[[Any, int], Any], items: Iterable, *, jobs: int
) -> list:
  """Does some work on all items, each with a core to itself.

  Returns:
    Those that failed.
  """
  available = sorted(os.sched_getaffinity(0))
  cores: queue.Queue[int] = queue.Queue()
  for job in range(jobs):
    cores.put(available[job % len(available)])

  def one(item: Any) -> list:
    core = cores.get()
    try:
      work(item, core)
    except Stopped:
      pass
    except Exception as error:  # one cell's; the others go on
      what = error if isinstance(error, Failed) else repr(error)
      study.commands.say(f"{getattr(item, 'name', item)}: FAILED, {what}")
      return [item]
    finally:
      cores.put(core)
    return []

  with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
    waiting = [pool.submit(one, item) for item in items]
    try:
      return [item for done in waiting for item in done.result()]
    except BaseException:
      study.commands.stop()
      pool.shutdown(cancel_futures=True)
      raise


def lack(cell: Cell, paths: Paths) -> str | None:
  """Says what a cell cannot be run without, or None."""
  if not (ROOT / "gin_configs" / cell.gin_file).exists():
    return f"there is no {cell.gin_file}"
  if cells.ARMS[cell.arm].checkpoint and paths.checkpoint is None:
    return "it starts from --checkpoint"
  if cell.collection == "boolq_passage" and not (
    paths.collection(cell.collection).exists()
    or Path(paths.sources[cell.collection]).exists()
  ):
    return f"--boolq={paths.sources[cell.collection]} is not there"
  return None


def listing(wanted: Sequence[Cell], paths: Paths) -> str:
  """Lists cells, how they stand, and the CPU-minutes they still take."""
  lines, left = [], 0.0
  for cell in wanted:
    state, minutes = _state(cell, paths)
    left += minutes
    lines.append(f"{cell.name:44} {minutes:6.1f} min  {state}")
  lines.append(f"{len(wanted)} cells, {left / 60:.1f} CPU-hours to go")
  return "\n".join(lines)


def _state(cell: Cell, paths: Paths) -> tuple[str, float]:
  """Returns how a cell stands, and what it still takes at most."""
  if paths.result(cell).exists():
    found = running.read(paths.result(cell))
    used, reached = found["cpu_minutes"], found["test"]["RR@10"]
    return f"done, {used:.1f} CPU-minutes, RR@10 {reached:.3f}", 0.0
  if missing := lack(cell, paths):
    return f"left out: {missing}", 0.0
  calibrated = paths.calibration(cell).with_suffix(".json")
  if not calibrated.exists():
    return "waits for its calibration", cell.minutes
  steps = Cost(**running.read(calibrated)["cost"]).steps(cell.minutes)
  begun = paths.cell(cell).exists()
  return f"{'begun' if begun else 'waits'}, {steps:,} steps", cell.minutes


if __name__ == "__main__":
  sys.exit(main())
