"""Where a study keeps what, and the commands that make it."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from genret.core.errors import ConfigError, suggest
from genret.corpora import ladder
from genret.studies import pipeline
from genret.studies.grid import Cell, Study
from genret.studies.pipeline import FOLDERS, OTHERWISE, STATES, placeholders

RUN = "run.trec"
RESULT = "result.json"
_ANY = 10**15  # documents; more than any collection has


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
  """A command whose result cells share.

  Attributes:
    name: For people, and of its log.
    folder: What it makes.
    arguments: Of genret.
    inputs: The shared results that it is made of.
    values: What choices set its placeholders to.
  """

  name: str
  folder: Path
  arguments: tuple[str, ...]
  inputs: tuple["Task", ...] = ()
  values: Mapping[str, str | None] = dataclasses.field(default_factory=dict)

  @property
  def record(self) -> Path:
    """The file that says of which settings the folder is, once it stands."""
    return self.folder.with_name(f"{self.folder.name}.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
  """How long a model is trained, and where it goes.

  Attributes:
    folder: The model folder.
    steps: Of the optimizer.
    eval_period: Steps between looks at dev.
    seed: Of training.
    log_every: Steps between entries of the event file, if not as usual.
    pairs: Training pairs searched in the end.
  """

  folder: Path
  steps: int
  eval_period: int
  seed: int
  log_every: int | None = None
  pairs: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
  """The folders of a study and its commands.

  Attributes:
    study: The grid.
    workdir: Its folder.
  """

  study: Study
  workdir: Path

  def cell(self, cell: Cell) -> Path:
    """Returns the folder of a cell."""
    return self.workdir / "cells" / cell.name

  def model(self, cell: Cell) -> Path:
    """Returns the model folder of a cell."""
    return self.cell(cell) / "model"

  def result(self, cell: Cell) -> Path:
    """Returns the file that a finished cell has."""
    return self.cell(cell) / RESULT

  def failure(self, cell: Cell) -> Path:
    """Returns the file that a cell has whose last attempt failed."""
    return self.cell(cell) / "failed.txt"

  def calibration(self, cell: Cell) -> Path:
    """Returns the folder of a calibration run; its record lies beside it."""
    return self.workdir / "calibrations" / cell.setting

  def log(self, name: str) -> Path:
    """Returns the file that has what a command printed."""
    return self.workdir / "logs" / f"{name.replace(' ', '-')}.log"

  def states(self, chosen: Mapping[str, str]) -> Path:
    """Returns the folder of states that cells of a collection share."""
    return self.workdir / STATES / self._key("ladder", chosen)

  def documents(self, chosen: Mapping[str, str]) -> Path:
    """Returns the collection whose documents a cell is about."""
    if not self.study.flags("ladder", chosen):
      return self.folder("prepare", chosen)
    rung = _rung(self._filled("ladder", chosen))
    return self.folder("ladder", chosen) / rung

  def rung_size(self, chosen: Mapping[str, str]) -> int | None:
    """Returns how many documents a cell's rung has, if its flags say it."""
    size = self.documents(chosen).name
    if not self.study.flags("ladder", chosen) or not size[0].isdigit():
      return None
    return ladder.parse_size(size, _ANY)

  def collection(self, chosen: Mapping[str, str]) -> Path:
    """Returns the collection that a cell is trained and judged on."""
    if self.study.flags("resplit", chosen):
      return self.folder("resplit", chosen)
    return self.documents(chosen)

  def folder(self, command: str, chosen: Mapping[str, str]) -> Path:
    """Returns the folder that a shared command makes for a cell."""
    return self.workdir / "shared" / command / self._key(command, chosen)

  def shared(self, cell: Cell) -> list[Task]:
    """Lists the shared commands that a cell and its baselines need, in order.

    Baselines come last; nothing else reads them.
    """
    chosen = cell.chosen
    beside = ("baselines",) * bool(self.study.flags("baselines", chosen))
    return self._tasks(chosen, (*self._own(chosen), *beside))

  def needed(self, cell: Cell) -> list[Task]:
    """Lists the shared commands that a cell cannot be run without."""
    return self._tasks(cell.chosen, self._own(cell.chosen))

  def _tasks(
    self, chosen: Mapping[str, str], commands: Sequence[str]
  ) -> list[Task]:
    """Lists commands, as far as they are shared, and all that they read."""
    found: dict[str, Task] = {}

    def add(tasks: Iterable[Task]) -> None:
      for task in tasks:
        found[task.arguments[0]] = task
        add(task.inputs)

    for command in commands:
      add(self._inputs(command, chosen))
      if command in pipeline.SHARED:
        add([self._task(command, chosen)])
    return [found[name] for name in pipeline.SHARED if name in found]

  def beside(self, cell: Cell) -> list[Task]:
    """Lists the baselines that stand beside a cell, and what these need."""
    if not self.study.flags("baselines", cell.chosen):
      return []
    return self._tasks(cell.chosen, ("baselines",))

  def baselines(self, cells: Iterable[Cell]) -> list[tuple[Task, Cell]]:
    """Returns the baselines beside cells, each once, with its first cell."""
    found: dict[Path, tuple[Task, Cell]] = {}
    for cell in cells:
      for task in self.beside(cell)[-1:]:  # after all that it reads
        found.setdefault(task.folder, (task, cell))
    return list(found.values())

  def lack(self, cell: Cell) -> str | None:
    """Says what a cell cannot be run without, or None."""
    values = self.study.values(cell.chosen)
    named = [
      name
      for command in ("prepare", "ladder", "resplit", *self._own(cell.chosen))
      for name in self._placeholders(command, cell.chosen)
    ]
    missing = [n for n in named if n in values and values[n] is None]
    return f"{{{missing[0]}}} is not set" if missing else None

  def training(self, cell: Cell, run: Run) -> list[str]:
    """Returns the arguments of genret that train a model of a cell."""
    chosen = cell.chosen
    own = self._own(chosen)
    trainer = self.study.trainer(chosen)
    docids = [f"--docids={self.folder('docids', chosen)}"]
    log = [f"--gin.LoopConfig.log_every={run.log_every}"]
    return [
      trainer,
      *self._filled(trainer, chosen),
      f"--collection={self.collection(chosen)}",
      *(docids if "docids" in own else []),
      f"--model_dir={run.folder}",
      f"--train_steps={run.steps}",
      f"--eval_period={run.eval_period}",
      f"--seed={run.seed}",
      *(log if run.log_every else []),
      *(
        [f"--gin.TrainConfig.memorised_pairs={run.pairs}"] if run.pairs else []
      ),
    ]

  def retrieving(self, cell: Cell) -> list[str]:
    """Returns the arguments that search the queries of a cell."""
    return [
      "retrieve",
      *self._filled("retrieve", cell.chosen),
      f"--model_dir={self.model(cell)}",
      f"--collection={self.collection(cell.chosen)}",
      f"--split={self.study.split}",
      f"--gin.K={self.study.depth}",
      f"--out={self.cell(cell) / RUN}",
    ]

  def evaluating(self, cell: Cell) -> list[str]:
    """Returns the arguments that measure the run of a cell."""
    return [
      "evaluate",
      f"--collection={self.collection(cell.chosen)}",
      f"--runs=cell={self.cell(cell) / RUN}",
      f"--out={self.cell(cell) / 'evaluation'}",
      f"--split={self.study.split}",
      f"--gin.MEASURES={tuple(self.study.measures)!r}",
      "--gin.PER_QUERY=True",
    ]

  def _task(self, command: str, chosen: Mapping[str, str]) -> Task:
    folder = self.folder(command, chosen)
    arguments = [command, *self._filled(command, chosen)]
    if command != "prepare":
      arguments.append(f"--collection={self._read(command, chosen)}")
    if command == "baselines":  # searched as cells are
      arguments.append(f"--split={self.study.split}")
      arguments.append(f"--k={self.study.depth}")
    if command == "generate" and self.study.flags("generator", chosen):
      arguments.append(f"--generator={self.folder('generator', chosen)}")
    return Task(
      name=f"{command} {folder.name}",
      folder=folder,
      arguments=(*arguments, f"--out={folder}"),
      inputs=tuple(self._inputs(command, chosen)),
      values=self._set_values(command, chosen),
    )

  def _inputs(self, command: str, chosen: Mapping[str, str]) -> Iterator[Task]:
    """Yields the shared results that a shared command reads."""
    named = self._placeholders(command, chosen)
    read = set(named) - set(self._set_values(command, chosen))
    for below in pipeline.inputs(command, read):
      while below in OTHERWISE and not self.study.flags(below, chosen):
        below = OTHERWISE[below]
      if below:
        yield self._task(below, chosen)

  def _read(self, command: str, chosen: Mapping[str, str]) -> Path:
    """Returns the collection that a shared command reads."""
    if command == "ladder":
      return self.folder("prepare", chosen)
    if "resplit" in pipeline.inputs(command, ()):
      return self.collection(chosen)
    return self.documents(chosen)

  def _own(self, chosen: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the commands that a cell cannot do without, but for the first."""
    trainer = self.study.trainer(chosen)
    return ("docids",) * (trainer == "train") + (trainer, "retrieve")

  def _set_values(
    self, command: str, chosen: Mapping[str, str]
  ) -> dict[str, str | None]:
    values = self.study.set_values(chosen)
    named = self._placeholders(command, chosen)
    return {name: values[name] for name in named if name in values}

  def _placeholders(
    self, command: str, chosen: Mapping[str, str]
  ) -> dict[str, None]:
    flags = self.study.flags(command, chosen)
    return dict.fromkeys(name for flag in flags for name in placeholders(flag))

  def _key(self, command: str, chosen: Mapping[str, str]) -> str:
    parts = [chosen[axis] for axis in self.study.matters(command)]
    return "-".join(parts) or "all"

  def _filled(self, command: str, chosen: Mapping[str, str]) -> list[str]:
    """Returns the flags of a command with its placeholders filled."""
    values = self._folders(chosen) | {
      name: value
      for name, value in self.study.values(chosen).items()
      if value is not None
    }
    return [
      _fill(flag, values, command) for flag in self.study.flags(command, chosen)
    ]

  def _folders(self, chosen: Mapping[str, str]) -> dict[str, str]:
    found = {n: str(self.folder(c, chosen)) for n, c in FOLDERS.items()}
    return {**found, STATES: str(self.states(chosen))}


def _rung(flags: Sequence[str]) -> str:
  """Returns the folder that `genret ladder` makes in its own.

  >>> _rung(["--seed=1", "--rungs=4000"])
  '4k'
  """
  given = dict(flag.lstrip("-").partition("=")[::2] for flag in flags)
  if "name" in given:  # of a published list
    return given["name"]
  size = given.get("rungs", "")
  if not size or "," in size:
    raise ConfigError(
      f"A cell is about one rung, --rungs=4k; its flags of ladder say"
      f" {' '.join(flags)}."
    )
  if size == ladder.ALL:
    return size
  return ladder.label(ladder.parse_size(size, _ANY), _ANY)


def _fill(flag: str, values: Mapping[str, str], command: str) -> str:
  """Fills the placeholders of a flag.

  >>> _fill("--gin_file=start/{model}_{docids}.gin", {
  ...   "model": "scratch", "docids": "atomic"}, "train")
  '--gin_file=start/scratch_atomic.gin'
  """
  for name in placeholders(flag):
    if name not in values:
      raise ConfigError(
        f"{flag}, a flag of {command}, has a placeholder {name!r} that stands"
        f" for nothing (a brace itself is written twice)."
        f"{suggest(name, values)}"
      )
  return flag.format_map(dict(values))
