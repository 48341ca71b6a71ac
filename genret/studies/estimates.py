"""What a cell will take, before there is a calibration to say it."""

import dataclasses
from pathlib import Path
from typing import Any

from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.models import shapes
from genret.stages import dual_config, trained_step
from genret.stages.compared_costs import ComparedStep
from genret.stages.train import TrainConfig
from genret.studies.calibration import Calibration, Cost
from genret.studies.grid import Cell
from genret.studies.layout import Layout

FLOPS = 5e10  # a second, of a core of a present CPU in float32
START = 60.0  # CPU-seconds of imports and compiling
LOOK = 10.0  # CPU-seconds of a look at dev


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
  """What is expected of a cell.

  Attributes:
    parameters: Of its model; None where the docids are not known yet.
    step_flops: Operations of a step, by formula; likewise.
    calibration: Guessed from operations; None where the collection is not
      known yet.
  """

  parameters: int | None = None
  step_flops: int | None = None
  calibration: Calibration | None = None


def estimate(
  layout: Layout, cell: Cell, config: TrainConfig | dual_config.TrainConfig
) -> Estimate:
  """Guesses the size of a cell's model, and what its steps take.

  Operations are 6 a parameter and token, as `genret costs` has the formula.
  Rows are packed with examples of a quarter of the length that queries may
  have.

  Args:
    layout: Of the study.
    cell: Which.
    config: Of its training.
  """
  if isinstance(config, dual_config.TrainConfig):
    return _compared(layout, cell, config)
  documents = num_documents(layout, cell)
  symbols, length = _symbols(layout, cell, documents)
  if documents is None or symbols is None:
    return Estimate()
  model = dataclasses.replace(
    config.model.plain,
    docid_vocab_size=symbols,
    docid_length=length,
    level_starts=None
    if config.model.plain.pawa is None
    else _level_starts(layout, cell, symbols=symbols, length=length),
  )
  counts = shapes.count_by_part(shapes.abstract(model)["params"])
  flops = trained_step.formula(
    model,
    rows=config.batch_size,
    lengths=config.task_feature_lengths,
    cached_states=config.cache_states,
    passes=2 if config.loss.consistency else 1,
  )
  return Estimate(
    parameters=sum(counts.values()),
    step_flops=flops,
    calibration=_guess(flops, _examples(config, length), documents),
  )


def _compared(
  layout: Layout, cell: Cell, config: dual_config.TrainConfig
) -> Estimate:
  """Guesses what a dual encoder takes; it has no docids."""
  step = ComparedStep.planned(config)
  documents, flops = num_documents(layout, cell), step.formula()
  return Estimate(
    parameters=step.parameters()["all"],
    step_flops=flops,
    calibration=None
    if documents is None
    else _guess(flops, float(config.batch_size), documents, config=config),
  )


def with_tuning(cost: Cost, config: Any) -> Cost:
  """Adds what trying temperatures takes to what a run takes without.

  Args:
    cost: Of a run of one temperature.
    config: Of the training, whichever command reads it; None if not known.
  """
  if not isinstance(config, dual_config.TrainConfig):
    return cost
  tried = len(config.temperatures) if len(config.temperatures) > 1 else 0
  start = cost.start + tried * cost.first_look
  if config.tuning_steps is None:  # a part of the run's steps
    share = 1 + tried / dual_config.TRIALS_IN_A_RUN
    return dataclasses.replace(cost, start=start, step=cost.step * share)
  start += tried * config.tuning_steps * cost.step
  return dataclasses.replace(cost, start=start)


def _guess(
  flops: int, examples: float, documents: int, *, config: Any = None
) -> Calibration:
  """Guesses what steps of so many operations and examples take."""
  step = flops / FLOPS
  cost = Cost(start=START, step=step, first_look=LOOK, look=LOOK)
  return Calibration(
    cost=with_tuning(cost, config),
    examples_a_step=examples,
    documents=documents,
  )


def num_documents(layout: Layout, cell: Cell) -> int | None:
  """Returns the documents of a cell's collection: counted, or as is said."""
  root = layout.collection(cell.chosen)
  if _stands(root):
    return Collection.open(root).num_documents
  return layout.rung_size(cell.chosen) or _said(layout, cell, "documents")


def _symbols(
  layout: Layout, cell: Cell, documents: int | None
) -> tuple[int | None, int]:
  """Returns the symbols of a cell's docids and their length."""
  folder = layout.folder("docids", cell.chosen)
  if _stands(folder):
    table = DocidTable.load(folder)
    return table.vocab_size, table.length
  said = _said(layout, cell, "symbols")
  if said is not None:
    return said, 4
  return (None if documents is None else documents + 2), 1


def _level_starts(
  layout: Layout, cell: Cell, *, symbols: int, length: int
) -> tuple[int, ...] | None:
  """Returns where the levels of 2D docids start, or would if they were even."""
  folder = layout.folder("docids", cell.chosen)
  if _stands(folder):
    return DocidTable.load(folder).level_starts
  return tuple(2 + level * (symbols - 2) // length for level in range(length))


def _said(layout: Layout, cell: Cell, name: str) -> int | None:
  choices = layout.study.choices(cell.chosen)
  found = [v for c in choices if (v := getattr(c, name)) is not None]
  return found[-1] if found else None


def _examples(config: TrainConfig, length: int) -> float:
  """Guesses how many examples a batch holds."""
  if not config.pack:
    return float(config.batch_size)
  lengths = config.task_feature_lengths
  a_row = min(
    4 * lengths["inputs"] / max(config.input_length, 1),
    lengths["targets"] / length,
  )
  return config.batch_size * max(a_row, 1.0)


def _stands(folder: Path) -> bool:
  return (folder / "manifest.json").exists()
