"""What cells cost and why they err: the commands that say so, and their files.

Both run while a cell's checkpoints are still there, on the core that trained
it; what they find stands beside its run, and comes into the report.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from genret.core import artifacts
from genret.stages.costs import FILE as COSTS
from genret.stages.diagnose import FILE as DIAGNOSTICS
from genret.studies.grid import Cell
from genret.studies.layout import Layout

TRAINED_ALONE = ("--devices=1",)  # each command of a study has one core
_SEARCH = ("K", "NUM_BEAMS", "CHECKPOINT")
"""Settings of the search that all three commands know by one name."""


def commands(layout: Layout, cell: Cell) -> list[list[str]]:
  """Returns the arguments of genret that measure a trained cell.

  Nothing of a cell whose study asks for no such figures, and no diagnosis of
  one that writes no docids.

  Args:
    layout: Of the study.
    cell: Which.
  """
  study = layout.study
  found: list[list[str]] = []
  shared = [
    f"--model_dir={layout.model(cell)}",
    f"--collection={layout.collection(cell.chosen)}",
    f"--split={study.split}",
  ]
  if study.timed:
    out = f"--out={layout.cell(cell) / COSTS}"
    own = [f"--queries={study.timed}", *TRAINED_ALONE]
    search = _as_searched(layout, cell, (*_SEARCH, "SCORING"))
    found.append(["costs", *shared, out, *own, *search])
  if study.diagnosed and study.trainer(cell.chosen) == "train":
    out = f"--out={layout.cell(cell) / DIAGNOSTICS}"
    own = [f"--exhaustive_queries={study.diagnosed}"]
    own += [f"--measures={','.join(study.measures)}"]
    search = _as_searched(layout, cell, _SEARCH)
    found.append(["diagnose", *shared, out, *own, *search])
  return found


def _as_searched(
  layout: Layout, cell: Cell, names: Collection[str]
) -> list[str]:
  """Returns the flags by which a cell is searched elsewhere as in its run."""
  found = []
  for flag in layout.retrieving(cell):
    name, _, value = flag.removeprefix("--").partition("=")
    name = name.removeprefix("gin.").upper()
    if name in names:
      found.append(f"--gin.{name}={value}")
  return found


def read(folder: Path) -> dict[str, Any]:
  """Returns what was found of a cell: `costs` and `diagnostics`, or None.

  Args:
    folder: Of the cell.
  """
  files = {"costs": COSTS, "diagnostics": DIAGNOSTICS}
  return dict.fromkeys(files) | {
    name: artifacts.read_json(folder / file)
    for name, file in files.items()
    if (folder / file).exists()
  }


def training_flops(folder: Path) -> float | None:
  """Returns the operations of a cell's training; None if nobody counted.

  Args:
    folder: Of the cell.
  """
  found = read(folder)["costs"]
  return found and found["flops"]["training"]
