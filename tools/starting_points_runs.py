"""Running a cell: its cost a step, its steps, its training, its figures."""

import dataclasses
import itertools
import json
import shutil
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import starting_points_cells as cells
from starting_points_cells import Cell, Paths
from starting_points_commands import Commands, Failed

from genret.core import artifacts, chatter, runs
from genret.core.collection import Collection
from genret.evaluation import measures

MEASURES = ("RR@10", "R@1", "R@10", "R@100")
LOOKS = 10  # at dev, in a run
SPAN = 10  # steps between two entries of the event file, when calibrating
CALIBRATION_STEPS = 6 * SPAN
LEAST_STEPS = 60  # more than the warm-up of studies/start/pairs.gin
NOTED = "cpu_seconds.json"  # of a model folder: the loop's own count


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
  """CPU-seconds of the parts of a run.

  Attributes:
    start: Before the first step and after the last: imports, texts, states of
      frozen layers, compiling.
    step: One step.
    first_look: At dev, with what has to be compiled for it.
    look: Each later one, with its checkpoint.
  """

  start: float
  step: float
  first_look: float
  look: float

  @classmethod
  def of(cls, entries: Mapping[int, float], *, whole: float) -> "Cost":
    """Takes a calibration run apart.

    A look comes after every second entry of the event file. Steps of ten
    seconds, looks of 7 and 5, and one more at the end:

    >>> entries = {10: 25, 20: 35, 30: 52, 40: 62, 50: 77, 60: 87}
    >>> Cost.of(entries, whole=100)
    Cost(start=23.0, step=1.0, first_look=7.0, look=5.0)

    Args:
      entries: Step to the CPU-seconds of the loop until then.
      whole: CPU-seconds of the whole process.
    """
    steps = sorted(entries)
    gaps = [entries[b] - entries[a] for a, b in itertools.pairwise(steps)]
    step = statistics.median(gaps[::2]) / SPAN
    looks = [max(gap - SPAN * step, 0.0) for gap in gaps[1::2]]
    rest = whole - len(steps) * SPAN * step - sum(looks) - looks[-1]
    return cls(
      start=max(rest, 0.0), step=step, first_look=looks[0], look=looks[-1]
    )

  def steps(self, minutes: float) -> int:
    """Returns how many steps fit in so many CPU-minutes, all else included."""
    looks = self.first_look + (LOOKS - 1) * self.look
    return int((60 * minutes - self.start - looks) / self.step)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
  """What cells are run with.

  Attributes:
    paths: Where everything is.
    commands: Runs genret.
    keep_models: Whether checkpoints stay when a cell has its figures.
  """

  paths: Paths
  commands: Commands
  keep_models: bool = False

  def prepare(self, collection: str, core: int) -> None:
    """Makes a collection, its vectors, docids and baselines, once."""
    for made, name, arguments in cells.preparations(collection, self.paths):
      if not (made / artifacts.MANIFEST).exists():
        self.commands.say(f"{collection}: {name}")
        log = self.paths.log(f"{collection}-{name}")
        self.commands.run(arguments, log=log, core=core)

  def calibrate(self, cell: Cell, core: int) -> Cost:
    """Measures what a step of this setting costs, once."""
    folder = self.paths.calibration(cell)
    known = folder.with_suffix(".json")
    settings = cells.settings(cell, self.paths)
    if not known.exists() or read(known)["settings"] != settings:
      self.commands.say(
        f"{cell.setting}: {CALIBRATION_STEPS} steps to calibrate"
      )
      # A run that goes on says nothing of its start.
      shutil.rmtree(folder, ignore_errors=True)
      arguments = cells.training(
        dataclasses.replace(cell, seed=0),
        self.paths,
        model=folder,
        steps=CALIBRATION_STEPS,
        eval_period=2 * SPAN,
      )
      log = self.paths.log(f"{cell.setting}-calibration")
      arguments.append(f"--gin.LoopConfig.log_every={SPAN}")
      whole = self.commands.run(arguments, log=log, core=core)
      cost = Cost.of(scalars(folder)["cpu_seconds"], whole=whole)
      record = {"settings": settings, "cost": dataclasses.asdict(cost)}
      artifacts.write_json(known, record)
      self.commands.say(f"{cell.setting}: {cost}")
      shutil.rmtree(folder)
    return Cost(**read(known)["cost"])

  def run(self, cell: Cell, core: int) -> None:
    """Trains a cell, searches the test queries, and writes its result.

    Raises:
      Failed: A command failed, or the budget is too small for a run.
    """
    cost = self.calibrate(cell, core)
    steps = cost.steps(cell.minutes)
    if steps < LEAST_STEPS:
      raise Failed(
        f"{cell.minutes:g} CPU-minutes are {steps:,} steps of {cell.setting},"
        f" and a run needs {LEAST_STEPS}: {cost}"
      )
    arguments = cells.training(
      cell,
      self.paths,
      model=self.paths.cell(cell),
      steps=steps,
      eval_period=-(-steps // LOOKS),
    )
    self.commands.say(f"{cell.name}: {steps:,} steps")
    trained = self._train(cell, arguments, core)
    seconds = trained["cpu_seconds"]
    searching = self._search(cell, core)
    folder = self.paths.cell(cell)
    test = figures(
      self.paths.run_file(cell), self.paths.collection(cell.collection)
    )
    result = {
      **dataclasses.asdict(cell),
      "knows": cell.knows,
      "steps": steps,
      "planned": dataclasses.asdict(cost),
      "settings": cells.settings(cell, self.paths),
      "cpu_minutes": seconds / 60,
      "was_killed": trained["gone_on_from"] > 0,
      "search_cpu_minutes": searching / 60,
      "dev": dev_curve(folder),
      "test": test,
      "model": artifacts.identity(folder),
      "command": " ".join(["genret", *arguments]),
    }
    artifacts.write_json(self.paths.result(cell), result)
    self.commands.say(
      f"{cell.name}: done, {seconds / 60:.1f} CPU-minutes, RR@10"
      f" {test['RR@10']:.3f}, R@10 {test['R@10']:.3f}"
    )
    if not self.keep_models:
      shutil.rmtree(folder / "checkpoints")

  def _train(
    self, cell: Cell, arguments: list[str], core: int
  ) -> Mapping[str, float]:
    """Trains, and says its CPU-seconds, those before a kill included.

    Of a run that was killed those until its newest checkpoint count, as noted
    there; what was lost does not, but for what it takes to start again. One
    that had none begins anew.
    """
    folder = self.paths.cell(cell)
    known = folder.with_name(f"{cell.name}.trained.json")
    if not known.exists():
      before = _noted(folder)
      if not before:
        shutil.rmtree(folder, ignore_errors=True)
      seconds = self.commands.run(
        arguments, log=self.paths.log(cell.name), core=core
      )
      record = {"cpu_seconds": before + seconds, "gone_on_from": before}
      artifacts.write_json(known, record)
    return read(known)

  def _search(self, cell: Cell, core: int) -> float:
    arguments = [
      "retrieve",
      f"--model_dir={self.paths.cell(cell)}",
      f"--collection={self.paths.collection(cell.collection)}",
      "--split=test",
      "--k=100",
      f"--out={self.paths.run_file(cell)}",
    ]
    return self.commands.run(
      arguments, log=self.paths.log(cell.name), core=core
    )


def read(path: Path) -> dict[str, Any]:
  """Reads a file of JSON."""
  return json.loads(path.read_text("utf-8"))


def figures(run_file: Path, collection: Path) -> dict[str, float]:
  """Returns what a run of the test queries is worth."""
  return dict(evaluated(run_file, collection).means)


def evaluated(run_file: Path, collection: Path) -> measures.Evaluation:
  """Evaluates a run of the test queries of a collection."""
  return measures.evaluate(
    runs.read_trec(run_file),
    Collection.open(collection).qrels("test"),
    measures=MEASURES,
  )


def dev_curve(folder: Path) -> list[dict[str, float]]:
  """Returns what each look at dev found, and the loop's CPU-minutes by then."""
  found = scalars(folder)
  return [
    {
      "step": step,
      "loop_cpu_minutes": found["cpu_seconds"][step] / 60,
      "RR@10": value,
      "R@10": found["dev/R@10"][step],
    }
    for step, value in found["dev/RR@10"].items()
  ]


def scalars(folder: Path) -> dict[str, dict[int, float]]:
  """Reads the event files of a model folder: tag -> step -> value."""
  with chatter.without(chatter.TENSORFLOW):  # which comes along
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    events = event_accumulator.EventAccumulator(
      str(folder), size_guidance={"tensors": 0}
    )
    events.Reload()
  return {
    tag: {
      event.step: float(tensor_util.make_ndarray(event.tensor_proto))
      for event in events.Tensors(tag)
    }
    for tag in events.Tags()["tensors"]
  }


def _noted(folder: Path) -> float:
  """Returns the CPU-seconds noted at the newest checkpoint, if any."""
  path = folder / NOTED
  if not path.exists():
    return 0.0
  return max(read(path).values())
