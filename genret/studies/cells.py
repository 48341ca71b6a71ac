"""Running one cell of a study, and what its shared parts need."""

import contextlib
import dataclasses
import math
import shutil
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import ConfigError
from genret.retrieval.model_folder import CHECKPOINTS
from genret.stages import temperature
from genret.studies import calibration, costs, estimates, figures
from genret.studies.calibration import ENTRIES, LOOKS_EVERY, Calibration, Cost
from genret.studies.commands import Commands, FailedError, held
from genret.studies.grid import Cell
from genret.studies.layout import Layout, Run, Task
from genret.studies.pipeline import STATES, placeholders
from genret.studies.settings import Reader
from genret.training.loop import CPU_SECONDS

BEGUN, TRAINED = "begun.json", "trained.json"
UNTUNED = {"dual_encoder": ("--gin.TrainConfig.temperatures=(0.05,)",)}
"""Flags of a short run, which has nothing to choose by."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Worker:
  """Does the parts of a study, one at a time on a core.

  Attributes:
    layout: Where everything goes.
    reader: Tells settings apart.
    commands: Runs genret.
    keep_models: Whether checkpoints stay when a cell has its figures.
  """

  layout: Layout
  reader: Reader
  commands: Commands
  keep_models: bool = False

  def share(self, task: Task, core: int) -> None:
    """Makes what several cells read, once."""
    if self.is_shared(task):
      return
    with held(task.folder.with_name(f".{task.folder.name}.lock"), wait=True):
      if self.is_shared(task):  # another process has made it meanwhile
        return
      self.commands.say(f"{task.name}: begins")
      log = self.layout.log(task.name)
      self.commands.run(task.arguments, log=log, core=core)
      artifacts.write_json(task.record, {"settings": self.reader.task(task)})

  def is_shared(self, task: Task) -> bool:
    """Says whether a shared result stands, of these settings."""
    if not (task.record.exists() and task.folder.exists()):
      return False
    return artifacts.read_json(task.record)["settings"] == self.reader.task(
      task
    )

  def calibrate(self, cell: Cell, core: int) -> Calibration:
    """Finds out what a step of this setting costs and reads, once."""
    if (known := self.calibrated(cell)) is not None:
      return known
    folder = self.layout.calibration(cell)
    with (
      held(folder.with_name(f".{folder.name}.lock"), wait=True),
      self._filling_states(cell),
    ):
      if (known := self.calibrated(cell)) is not None:
        return known  # another process has found it out meanwhile
      self.commands.say(f"{cell.setting}: calibration")
      # A run that goes on says nothing of its start.
      shutil.rmtree(folder, ignore_errors=True)
      found = self._measure(cell, core)
      record = {"settings": self.reader.setting(cell)}
      record |= dataclasses.asdict(found)
      artifacts.write_json(folder.with_suffix(".json"), record)
      shutil.rmtree(folder)
    self.commands.say(
      f"{cell.setting}: {found.examples_a_step:.1f} examples a step,"
      f" {found.cost}"
    )
    return found

  def calibrated(self, cell: Cell) -> Calibration | None:
    """Returns what a calibration of these settings has found, if any."""
    path = self.layout.calibration(cell).with_suffix(".json")
    if not path.exists():
      return None
    record = artifacts.read_json(path)
    if record["settings"] != self.reader.setting(cell):
      return None
    return Calibration.read(record)

  def run(self, cell: Cell, core: int) -> None:
    """Trains a cell, searches the queries, and writes its result.

    Raises:
      FailedError: A command failed.
      ConfigError: The budget is too small for a run.
      BusyError: Another process is at work on the cell.
    """
    with held(self.layout.cell(cell) / "lock", wait=False):
      known = self.calibrate(cell, core)
      steps = self._steps(cell, known)
      self.layout.failure(cell).unlink(missing_ok=True)
      self.commands.say(f"{cell.name}: {steps:,} steps")
      trained = self._train(cell, steps, core)
      searching = self._search(cell, core)
      self._account(cell, core)
      result = {
        **figures.of_cell(self.layout, cell),
        "steps": steps,
        "exposures": known.exposures(steps),
        "planned": dataclasses.asdict(known),
        "settings": self.reader.cell(cell),
        "cpu_minutes": trained["cpu_seconds"] / 60,
        "was_killed": trained["gone_on_from"] > 0,
        "search_cpu_minutes": searching / 60,
      }
      artifacts.write_json(self.layout.result(cell), result)
      self.tidy(cell)
    shown = "  ".join(
      f"{name} {value:.3f}" for name, value in result["figures"]["all"].items()
    )
    self.commands.say(f"{cell.name}: done, {shown}")

  def _account(self, cell: Cell, core: int) -> None:
    """Counts and times the model, and says why it errs.

    Figures stand without these: what fails is logged.
    """
    for arguments in costs.commands(self.layout, cell):
      try:
        log = self.layout.log(cell.name)
        self.commands.run(arguments, log=log, core=core)
      except FailedError as error:
        self.commands.say(f"{cell.name}: {error}")

  def is_done(self, cell: Cell) -> bool:
    """Says whether a cell has its figures, of these settings."""
    path = self.layout.result(cell)
    if self.layout.lack(cell) is not None or not path.exists():
      return False
    return artifacts.read_json(path)["settings"] == self.reader.cell(cell)

  def tidy(self, cell: Cell) -> None:
    """Removes what a finished cell does not need, unless it is to be kept."""
    if not self.keep_models:
      folder = self.layout.model(cell) / CHECKPOINTS
      shutil.rmtree(folder, ignore_errors=True)

  def _steps(self, cell: Cell, known: Calibration) -> int:
    study = self.layout.study
    steps = known.steps(
      exposures=cell.exposures, minutes=cell.minutes, looks=study.looks
    )
    if steps < study.looks:
      raise ConfigError(
        f"{cell.name}: its budget is {steps:,} steps, and a run needs"
        f" {study.looks}, one for each look at dev. {known}"
      )
    return steps

  def _measure(self, cell: Cell, core: int) -> Calibration:
    span, folder = self.layout.study.span, self.layout.calibration(cell)
    run = Run(
      folder=folder,
      steps=ENTRIES * span,
      eval_period=LOOKS_EVERY * span,
      seed=0,
      log_every=span,
    )
    trainer = self.layout.study.trainer(cell.chosen)
    whole = self.commands.run(
      [*self.layout.training(cell, run), *UNTUNED.get(trainer, ())],
      log=self.layout.log(f"calibration {cell.setting}"),
      core=core,
    )
    found = calibration.scalars(folder)
    root = self.layout.collection(cell.chosen)
    cost = Cost.of(found["cpu_seconds"], span=span, whole=whole)
    config = self.reader.training(cell).values.get("config")
    return Calibration(
      cost=estimates.with_tuning(cost, config),
      examples_a_step=statistics.mean(found["examples"].values()),
      documents=Collection.open(root).num_documents,
    )

  @contextlib.contextmanager
  def _filling_states(self, cell: Cell) -> Iterator[None]:
    """Lets one run at a time fill a folder of states."""
    study = self.layout.study
    flags = study.flags(study.trainer(cell.chosen), cell.chosen)
    if not any(STATES in placeholders(flag) for flag in flags):
      yield
      return
    folder = self.layout.states(cell.chosen)
    with held(folder.with_name(f".{folder.name}.lock"), wait=True):
      yield

  def _train(self, cell: Cell, steps: int, core: int) -> Mapping[str, Any]:
    """Trains, and says its CPU-seconds, those before a kill included.

    Of a run that was killed those until its newest checkpoint count, as noted
    there, and those of tried temperatures; what was lost does not, but for what
    it takes to start again. One that had no checkpoint begins anew, unless it
    is the same run: that goes on with what it had made before its first step.
    A finished model is not trained again: where other numbers of pairs are
    asked for, only these are searched.
    """
    known = self.layout.cell(cell) / TRAINED
    folder = self.layout.model(cell)
    study = self.layout.study
    wanted = {"settings": self.reader.trained(cell), "pairs": study.pairs}
    record = artifacts.read_json(known) if known.exists() else {}
    if record.items() >= wanted.items():
      return record
    is_trained = record.get("settings") == wanted["settings"]
    if not is_trained:
      self._begin(cell, {"settings": wanted["settings"], "steps": steps})
    before = self._noted(cell)
    run = Run(
      folder=folder,
      steps=steps,
      eval_period=math.ceil(steps / study.looks),
      seed=cell.seed,
      pairs=study.pairs,
    )
    seconds = self.commands.run(
      self.layout.training(cell, run),
      log=self.layout.log(cell.name),
      core=core,
    )
    if not is_trained:  # else other pairs of a finished model were searched
      record = {"cpu_seconds": before + seconds, "gone_on_from": before}
    record = {**record, **wanted}
    artifacts.write_json(known, record)
    return record

  def _begin(self, cell: Cell, run: Mapping[str, Any]) -> None:
    """Removes what another run has left that had no checkpoint yet."""
    begun, folder = self.layout.cell(cell) / BEGUN, self.layout.model(cell)
    is_same = begun.exists() and artifacts.read_json(begun) == run
    if not is_same and not (folder / CPU_SECONDS).exists():
      shutil.rmtree(folder, ignore_errors=True)
    artifacts.write_json(begun, run)

  def _noted(self, cell: Cell) -> float:
    """Returns the CPU-seconds noted at the newest checkpoint, if any.

    Those that trying temperatures took are among them.
    """
    steps, trials = (
      artifacts.read_json(path) if path.exists() else {}
      for path in (
        self.layout.model(cell) / name
        for name in (CPU_SECONDS, temperature.FILE)
      )
    )
    tried = sum(trial["cpu_seconds"] for trial in trials.values())
    return tried + max(steps.values(), default=0.0)

  def _search(self, cell: Cell, core: int) -> float:
    shutil.rmtree(self.layout.cell(cell) / "evaluation", ignore_errors=True)
    log = self.layout.log(cell.name)
    seconds = self.commands.run(
      self.layout.retrieving(cell), log=log, core=core
    )
    self.commands.run(self.layout.evaluating(cell), log=log, core=core)
    return seconds
