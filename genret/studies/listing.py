"""The list of a study's cells: how they stand, and what they still take."""

import dataclasses
from collections.abc import Sequence

from genret.core import artifacts
from genret.stages import dual_config
from genret.stages.train import TrainConfig
from genret.studies import costs, estimates
from genret.studies.calibration import Calibration
from genret.studies.cells import Worker
from genret.studies.grid import Cell

HEAD = (
  *("cell", "documents", "parameters", "steps", "exposures"),
  *("FLOPs", "hours", ""),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
  """How a cell stands.

  Attributes:
    name: Of the cell.
    documents: Of its collection, if known.
    parameters: Of its model, if known.
    steps: Of its training, if known.
    exposures: Examples of a document that it reads.
    flops: Of all of its training.
    hours: CPU-hours that it takes, or has taken; None if unknown.
    left: Whether it still takes them.
    guessed: Whether steps and hours are guesses, from no calibration.
    state: In words.
  """

  name: str
  documents: int | None
  parameters: int | None
  steps: int | None
  exposures: float | None
  flops: float | None
  hours: float | None
  left: bool
  guessed: bool
  state: str

  def shown(self) -> tuple[str, ...]:
    """Returns its parts as text, guesses marked."""
    about = "~" if self.guessed else ""

    def number(value: float | None, form: str, mark: str = "") -> str:
      return "?" if value is None else f"{mark}{value:{form}}"

    return (
      self.name,
      number(self.documents, ","),
      number(self.parameters, ","),
      number(self.steps, ",", about),
      number(self.exposures, ".0f"),
      number(self.flops, ".1e", about if self.left else ""),
      number(self.hours, ".2f", about),
      self.state,
    )


def listing(worker: Worker, cells: Sequence[Cell]) -> str:
  """Lists cells, how they stand, and the CPU-hours they still take.

  Args:
    worker: Of the study.
    cells: Which.

  Returns:
    A table for people; guesses bear a ~.
  """
  lines = [line(worker, cell) for cell in cells]
  rows = [HEAD, *(one.shown() for one in lines)]
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  text = [
    "  ".join(
      part.ljust(width) if i in (0, len(HEAD) - 1) else part.rjust(width)
      for i, (part, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip()
    for row in rows
  ]
  left = [one.hours for one in lines if one.left]
  known = sum(hours for hours in left if hours is not None)
  about = "about " if any(one.guessed for one in lines if one.left) else ""
  unknown = sum(hours is None for hours in left)
  text.append(
    f"{len(lines)} cells, {len(left)} to run, {about}{known:.1f} CPU-hours"
    + (f" and those of {unknown} that are not known yet" if unknown else "")
  )
  if any(one.guessed for one in lines):
    text.append(
      "~ from the number of operations; calibration comes when a study runs"
    )
  return "\n".join(text)


def line(worker: Worker, cell: Cell) -> Line:
  """Returns how a cell stands."""
  if worker.is_done(cell):
    return _done(worker, cell)
  if (missing := worker.layout.lack(cell)) is not None:
    return _unknown(cell, left=False, state=f"left out: {missing}")
  known = worker.calibrated(cell)
  config = worker.reader.training(cell).values.get("config")
  found = estimates.Estimate()
  if isinstance(config, TrainConfig | dual_config.TrainConfig):
    found = estimates.estimate(worker.layout, cell, config)
  looks = worker.layout.study.looks
  taken = known or found.calibration
  state = _state(worker, cell)
  if taken is None:
    return _unknown(cell, left=True, state=state)
  steps = taken.steps(
    exposures=cell.exposures, minutes=cell.minutes, looks=looks
  )
  return Line(
    name=cell.name,
    documents=taken.documents,
    parameters=found.parameters,
    steps=steps,
    exposures=_exposures(cell, taken, steps),
    flops=found.step_flops and found.step_flops * steps,
    hours=taken.cost.minutes(steps, looks=looks) / 60,
    left=True,
    guessed=known is None,
    state=state,
  )


def _exposures(cell: Cell, taken: Calibration, steps: int) -> float:
  return cell.exposures if cell.minutes is None else taken.exposures(steps)


def _done(worker: Worker, cell: Cell) -> Line:
  found = artifacts.read_json(worker.layout.result(cell))
  measure, value = next(iter(found["figures"]["all"].items()))
  return Line(
    name=cell.name,
    documents=found["planned"]["documents"],
    parameters=found["parameters"],
    steps=found["steps"],
    exposures=found["exposures"],
    flops=costs.training_flops(worker.layout.cell(cell)),
    hours=found["cpu_minutes"] / 60,
    left=False,
    guessed=False,
    state=f"done, {measure} {value:.3f}",
  )


def _unknown(cell: Cell, *, left: bool, state: str) -> Line:
  return Line(
    name=cell.name,
    documents=None,
    parameters=None,
    steps=None,
    exposures=cell.exposures if cell.minutes is None else None,
    flops=None,
    hours=None,
    left=left,
    guessed=False,
    state=state,
  )


def _state(worker: Worker, cell: Cell) -> str:
  layout = worker.layout
  if layout.failure(cell).exists():
    why = layout.failure(cell).read_text("utf-8").strip()
    return f"failed: {why}"
  if layout.result(cell).exists():
    return "done with other settings"
  return "begun" if layout.model(cell).exists() else "waits"
