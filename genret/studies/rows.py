"""Rows of a study's tables: the seeds of a setting together, and baselines."""

import dataclasses
import functools
import statistics
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genret.core import artifacts, runs
from genret.core.runs import Run
from genret.evaluation import crossed, measures
from genret.evaluation.significance import Interval
from genret.stages import evaluate
from genret.studies import figures, grid
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
    clusters: Of each query that of its article; none where each is alone.
    memorised: The least share of training pairs that is enough.
    seeds: Of training; none for a baseline.
    runs: The run file of each seed, or of the baseline.
    documents: Of the collection.
    synthetic_queries: Of a document, that it is trained on; None where there
      are none, or nobody knows.
  """

  chosen: Mapping[str, str]
  name: str = ""
  knows: str = ""
  results: Sequence[Mapping[str, Any]] = ()
  per_query: Sequence[PerQuery]
  parts: Mapping[str, Sequence[str]]
  clusters: Mapping[str, Hashable] = dataclasses.field(default_factory=dict)
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

  def unready(self, measure: str, *, plateau: bool) -> str | None:
    """Says why the row takes no part in comparisons, or None.

    Args:
      measure: Of dev.
      plateau: Whether dev must not rise any more.
    """
    if self.under_trained:
      return "under-trained"
    return "not at a plateau" if plateau and self.is_rising(measure) else None

  def mean(self, name: str) -> float | None:
    """The mean over seeds of a number of the results."""
    if not self.results:
      return None
    return statistics.mean(result[name] for result in self.results)

  def values(self, measure: str, part: str) -> np.ndarray:
    """Returns figures [seeds, queries] of a part, in the order of queries."""
    return self.of(measure, self.parts[part])

  def of(self, measure: str, queries: Sequence[str]) -> np.ndarray:
    """Returns figures [seeds, queries] of some queries."""
    return np.array(
      [[one[measure][query] for query in queries] for one in self.per_query]
    )

  def clusters_of(self, queries: Sequence[str]) -> list[Hashable]:
    """Returns the cluster of each query."""
    return [self.clusters.get(query, query) for query in queries]

  def figure(self, measure: str, part: str) -> "Figure | None":
    """Returns a mean with its spread and interval; None without queries."""
    if (measure, part) not in self._figures:
      self._figures[measure, part] = self._figure(measure, part)
    return self._figures[measure, part]

  @functools.cached_property
  def _figures(self) -> dict[tuple[str, str], "Figure | None"]:
    """Those that were asked for: tables and reports ask again."""
    return {}

  def _figure(self, measure: str, part: str) -> "Figure | None":
    values = self.values(measure, part)
    if not values.size:
      return None
    spread = None
    if len(values) > 1:
      spread = statistics.stdev(values.mean(1).tolist())
    found = crossed.mean(values, self.clusters_of(self.parts[part]))
    return Figure(
      interval=found.interval(), clusters=found.clusters, spread=spread
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
  """A mean over seeds.

  Attributes:
    interval: Of the mean, over seeds and clusters of queries.
    clusters: Of queries; of one there is no telling how it varies.
    spread: Standard deviation over seeds; None of one.
  """

  interval: Interval
  clusters: int
  spread: float | None

  @property
  def bounds(self) -> tuple[float, float] | tuple[None, None]:
    """The interval's ends; None where there is no telling."""
    if self.clusters < 2:
      return None, None
    return self.interval.low, self.interval.high

  def __str__(self) -> str:
    found = self.interval
    spread = "" if self.spread is None else f" ± {self.spread:.3f}"
    low, high = self.bounds
    around = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    return f"{found.mean:.3f}{spread}{around}"


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
      results=[artifacts.read_json(layout.result(cell)) for cell in group],
      per_query=[figures.per_query(layout, cell) for cell in group],
      parts=figures.queries(layout, group[0]),
      clusters=figures.clusters(layout, group[0]),
      memorised=layout.study.memorised,
      seeds=[cell.seed for cell in group],
      runs=[layout.cell(cell) / RUN for cell in group],
      documents=figures.collection(layout, group[0]).num_documents,
      synthetic_queries=figures.synthetic_queries(layout, group[0]),
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
  layout = worker.layout
  able = (cell for cell in cells if layout.lack(cell) is None)
  axes = layout.study.matters("baselines")
  return [
    _of_run(
      worker,
      cell,
      path,
      found=runs.read_trec(path),
      name=path.parent.name,
      axes=axes,
    )
    for task, cell in layout.baselines(able)
    if worker.is_shared(task)
    for path in sorted(task.folder.glob(f"*/{RUN}"))
  ]


def systems(worker: Worker, cells: Sequence[Cell]) -> list[Row]:
  """Returns the rows of other systems, whose run files are given.

  Those of collections that are not prepared yet are left out.

  Raises:
    DataError: A run file is broken, or one of another collection.
  """
  found = []
  axes = worker.layout.study.matters("resplit")
  for name, files in worker.layout.study.systems.items():
    for text, path in files.items():
      [cell, *_] = grid.chosen(cells, [text])
      if worker.layout.collection(cell.chosen).exists():
        run = Path(path).absolute()
        hits = runs.read_trec(run)
        own = figures.collection(worker.layout, cell)
        evaluate.check_ids(own, {name: hits}, {name: run})
        row = _of_run(worker, cell, run, found=hits, name=name, axes=axes)
        found.append(row)
  return found


def _of_run(
  worker: Worker,
  cell: Cell,
  path: Path,
  *,
  found: Run,
  name: str,
  axes: Sequence[str],
) -> Row:
  """Returns the row of a run that answers a cell's queries, and of its file."""
  return Row(
    chosen={axis: cell.chosen[axis] for axis in axes},
    name=name,
    per_query=[_evaluated(worker, cell, found)],
    parts=figures.queries(worker.layout, cell),
    clusters=figures.clusters(worker.layout, cell),
    runs=[path],
    documents=figures.collection(worker.layout, cell).num_documents,
  )


def _evaluated(worker: Worker, cell: Cell, found: Run) -> PerQuery:
  study = worker.layout.study
  return measures.evaluate(
    found,
    figures.judgements(worker.layout, cell),
    measures=study.measures,
  ).per_query


def parts_of(found: Sequence[Row]) -> list[str]:
  """Lists the parts that have queries in some row."""
  return [part for part in PARTS if any(row.parts[part] for row in found)]
