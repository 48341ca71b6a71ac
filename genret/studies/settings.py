"""What a cell's figures depend on, so that those of other settings show."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genret.core import artifacts
from genret.studies.grid import Cell
from genret.studies.layout import Layout, Run, Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """A command of genret as its gin files and flags make it.

  Attributes:
    values: The arguments of its stage; what is opened from a path is that
      path.
    text: All that has an effect, as a gin file.
  """

  values: Mapping[str, Any]
  text: str


ReadCommand = Callable[[Sequence[str]], Settings]


class Reader:
  """Reads the commands of a study, and tells settings apart.

  Args:
    layout: Of the study.
    read: From the arguments of genret to settings; None, where nobody knows
      gin, takes the arguments for all there is to know.
  """

  def __init__(self, layout: Layout, read: ReadCommand | None):
    self._layout = layout
    self._read = read
    self._known: dict[tuple[str, ...], Settings] = {}

  def settings(self, arguments: Sequence[str]) -> Settings:
    """Reads a command.

    Raises:
      ConfigError: If it cannot be right.
    """
    key = tuple(arguments)
    if key not in self._known:
      if self._read is None:
        self._known[key] = Settings(values={}, text="\n".join(key))
      else:
        self._known[key] = self._read(key)
    return self._known[key]

  def training(self, cell: Cell) -> Settings:
    """Reads the training of a cell, the first of its seeds for all."""
    like = dataclasses.replace(cell, seed=0)
    run = Run(folder=Path("model"), steps=1, eval_period=1, seed=0)
    return self.settings(self._layout.training(like, run))

  def check(self, cells: Sequence[Cell]) -> None:
    """Reads all commands of cells, so that no mistake shows hours later.

    Raises:
      ConfigError: One of them cannot be right.
    """
    for cell in cells:
      self.cell(cell)

  def task(self, task: Task) -> str:
    """Returns sixteen digits of what a shared result depends on.

    What it is made of counts as well: made anew with other flags, that leaves
    nothing current which was made of it before.
    """
    return _digest(
      self._text(task.arguments),
      *map(self.task, task.inputs),
      *_named_files(task.values),
    )

  def setting(self, cell: Cell) -> str:
    """Returns sixteen digits of what a cell's cost a step depends on."""
    tasks = map(self.task, self._layout.needed(cell))
    training = self.training(cell).text
    return _digest(
      training.replace(str(self._layout.workdir), "WORKDIR"),
      *tasks,
      *_named_files(self._layout.study.set_values(cell.chosen)),
    )

  def trained(self, cell: Cell) -> str:
    """Returns sixteen digits of what a cell's model depends on."""
    budget = (cell.exposures, cell.minutes, self._layout.study.looks)
    return _digest(self.setting(cell), repr((cell.seed, budget)))

  def cell(self, cell: Cell) -> str:
    """Returns sixteen digits of what a cell's figures depend on."""
    study = self._layout.study
    searching = self._text(self._layout.retrieving(cell))
    budget = (cell.exposures, cell.minutes, study.looks, study.pairs)
    measured = (study.split, study.depth, study.measures)
    return _digest(
      self.setting(cell), searching, repr((cell.seed, budget, measured))
    )

  def _text(self, arguments: Sequence[str]) -> str:
    text = self.settings(arguments).text
    return text.replace(str(self._layout.workdir), "WORKDIR")


@functools.cache
def identified(path: Path) -> str:
  """Returns the identity of an artifact, or a hash of any other files."""
  if path.is_file():
    return artifacts.file_hash(path)
  if (path / artifacts.MANIFEST).exists():
    return artifacts.identity(path)
  files = sorted(one for one in path.rglob("*") if one.is_file())
  return _digest(
    *(f"{one.relative_to(path)} {artifacts.file_hash(one)}" for one in files)
  )


def _named_files(values: Mapping[str, str | None]) -> list[str]:
  """Identifies the files that values name, wherever they lie."""
  return [
    f"{name} {identified(Path(value))}"
    for name, value in sorted(values.items())
    if value and os.path.exists(value)
  ]


def _digest(*texts: str) -> str:
  return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
