"""What a study has found so far: its rows, and what they say together."""

import dataclasses
from collections.abc import Sequence

from genret.studies import contrasts, growth, orders, pooling, rows
from genret.studies.cells import Worker
from genret.studies.contrasts import Asked
from genret.studies.grid import Cell
from genret.studies.growth import Growth
from genret.studies.orders import Order
from genret.studies.rows import Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
  """All that tables and reports are made from.

  Attributes:
    rows: Of settings.
    beside: Of baselines and other systems.
    asked: The contrasts that were named before the run.
    orders: Of the choices on the compared axis.
    growth: Slopes along the axis of rungs.
  """

  rows: Sequence[Row]
  beside: Sequence[Row]
  asked: Asked
  orders: Sequence[Order]
  growth: Growth

  @property
  def every(self) -> list[Row]:
    """All rows, baselines first."""
    return [*self.beside, *self.rows]


def of(worker: Worker, cells: Sequence[Cell]) -> Findings:
  """Collects what the finished of some cells say.

  Args:
    worker: Of the study.
    cells: All of its cells.
  """
  study = worker.layout.study
  done = [cell for cell in cells if worker.is_done(cell)]
  beside = [*rows.baselines(worker, cells), *rows.systems(worker, cells)]
  found = pooling.pooled(study, rows.of_cells(worker, done))
  beside = pooling.pooled(study, beside)
  return Findings(
    rows=found,
    beside=beside,
    asked=contrasts.asked(study, [*beside, *found]),
    orders=orders.orders(
      found,
      axis=study.compared,
      measure=study.measures[0],
      plateau=study.plateau,
    ),
    growth=growth.of(study, [*beside, *found]),
  )
