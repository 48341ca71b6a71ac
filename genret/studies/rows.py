"""Rows of a study's tables: the seeds of a setting together, and baselines."""

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genret.core import runs
from genret.evaluation import measures
from genret.evaluation.significance import Interval, bootstrap_interval
from genret.studies import calibration, figures
from genret.studies.cells import Worker
from genret.studies.figures import PARTS, PerQuery
from genret.studies.grid import Cell
from genret.studies.layout import RUN

RISING = 0.005  # of a dev measure in the last third of a run: no plateau yet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
  """A setting of the grid with all its seeds, or a baseline.

  Attributes:
    chosen: Axis -> choice; of a baseline the choices it depends on.
    name: Of a baseline; "" for a setting.
    knows: What was learned from other data.
    results: Of each seed; none for a baseline.
    per_query: Of each seed, the figures of its queries.
    parts: Which queries are in each of PARTS.
    memorised: The least share of training pairs that is enough.
    seeds: Of training; none for a baseline.
    runs: The run file of each seed, or of the baseline.
    documents: Of the collection.
    synthetic_queries: Of a document, that it is trained on or expanded with;
      None where it reads none, or nobody knows.
  """

  chosen: Mapping[str, str]
  name: str = ""
  knows: str = ""
  results: Sequence[Mapping[str, Any]] = ()
  per_query: Sequence[PerQuery]
  parts: Mapping[str, Sequence[str]]
  memorised: float = 0.0
  seeds: Sequence[int] = ()
  runs: Sequence[Path] = ()
  documents: int | None = None
  synthetic_queries: float | None = None

  @property
  def hits(self) -> float | None:
    """The share of training pairs known by heart, of the seed with least."""
    if not self.results:
      return None
    return min(result["memorised"]["Hits@1"] for result in self.results)

  @property
  def under_trained(self) -> bool:
    """Whether a seed has not learned its pairs, and so orders nothing."""
    return self.hits is not None and self.hits < self.memorised

  def rise(self, measure: str) -> float | None:
    """What the last third of looks at dev added, in the mean over seeds.

    None of a baseline, and where that of a seed is not known.
    """
    found = [figures.rise(result["dev"], measure) for result in self.results]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
      return None
    return statistics.mean(known)

  def is_rising(self, measure: str) -> bool:
    """Whether dev is known to rise still: the row is at no plateau."""
    found = self.rise(measure)
    return found is not None and found > RISING

  def mean(self, name: str) -> float | None:
    """The mean over seeds of a number of the results."""
    if not self.results:
      return None
    return statistics.mean(result[name] for result in self.results)

  def values(self, measure: str, part: str) -> np.ndarray:
    """Returns figures [seeds, queries] of a part, in the order of queries."""
    wanted = self.parts[part]
    return np.array(
      [[one[measure][q] for q in wanted] for one in self.per_query]
    )

  def figure(self, measure: str, part: str) -> "Figure | None":
    """Returns a mean with its spread and interval; None without queries."""
    values = self.values(measure, part)
    if not values.size:
      return None
    spread = None
    if len(values) > 1:
      spread = statistics.stdev(values.mean(1).tolist())
    return Figure(interval=bootstrap_interval(values.mean(0)), spread=spread)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
  """A mean over seeds.

  Attributes:
    interval: Of the mean, by a bootstrap over queries of their means over
      seeds.
    spread: Standard deviation over seeds; None of one.
  """

  interval: Interval
  spread: float | None

  def __str__(self) -> str:
    found = self.interval
    spread = "" if self.spread is None else f" ± {self.spread:.3f}"
    return f"{found.mean:.3f}{spread} [{found.low:.3f}, {found.high:.3f}]"


def of_cells(worker: Worker, cells: Iterable[Cell]) -> list[Row]:
  """Returns a row of each setting, of the cells that have their figures."""
  layout = worker.layout
  groups: dict[str, list[Cell]] = {}
  for cell in cells:
    groups.setdefault(cell.setting, []).append(cell)
  return [
    Row(
      chosen=group[0].chosen,
      knows=knows(worker, group[0]),
      results=[calibration.read(layout.result(cell)) for cell in group],
      per_query=[figures.per_query(layout, cell) for cell in group],
      parts=figures.queries(layout, group[0]),
      memorised=layout.study.memorised,
      seeds=[cell.seed for cell in group],
      runs=[layout.cell(cell) / RUN for cell in group],
      documents=figures.collection(layout, group[0]).num_documents,
    )
    for group in groups.values()
  ]


def knows(worker: Worker, cell: Cell) -> str:
  """Says what a cell has learned from other data, in the order of axes."""
  choices = worker.layout.study.choices(cell.chosen)
  found = dict.fromkeys(choice.knows for choice in choices if choice.knows)
  return ", ".join(found) or "nothing"


def baselines(worker: Worker, cells: Iterable[Cell]) -> list[Row]:
  """Returns the rows of the baselines that stand beside cells."""
  study, found = worker.layout.study, {}
  for cell in cells:
    if worker.layout.lack(cell) is not None:
      continue
    for task in worker.layout.shared(cell):
      if task.arguments[0] == "baselines" and task.folder.exists():
        found.setdefault(task.folder, cell)
  axes = study.matters("baselines")
  return [
    Row(
      chosen={axis: cell.chosen[axis] for axis in axes},
      name=path.parent.name,
      per_query=[_evaluated(worker, cell, path)],
      parts=figures.queries(worker.layout, cell),
      runs=[path],
      documents=figures.collection(worker.layout, cell).num_documents,
    )
    for folder, cell in found.items()
    for path in sorted(folder.glob(f"*/{RUN}"))
  ]


def _evaluated(worker: Worker, cell: Cell, run_file: Path) -> PerQuery:
  study = worker.layout.study
  return measures.evaluate(
    runs.read_trec(run_file),
    figures.collection(worker.layout, cell).qrels(study.split),
    measures=study.measures,
  ).per_query


def parts_of(found: Sequence[Row]) -> list[str]:
  """Lists the parts that have queries in some row."""
  return [part for part in PARTS if any(row.parts[part] for row in found)]
