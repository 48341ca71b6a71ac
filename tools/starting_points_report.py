"""The tables of the study, of the cells that have a result."""

import dataclasses
import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import starting_points_cells as cells
import starting_points_runs as running
from starting_points_cells import Cell, Paths

from genret.evaluation.significance import bootstrap_interval

SHOWN = ("RR@10", "R@1", "R@10")
BASELINES = {
  "bm25": ("BM25", "nothing"),
  "bm25_tuned": ("BM25, k1 and b tuned on dev", "nothing"),
  "bm25_expanded": ("BM25, training questions appended", "nothing"),
  "bag_of_subwords": ("bag of subwords", "nothing"),
  "dense": ("MiniLM, dense search", cells.MINILM),
}
RISING = 0.005  # of dev RR@10 in the last third of a run: no plateau yet

PerQuery = Mapping[str, Mapping[str, float]]  # measure -> query -> value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
  """A row of a table.

  Attributes:
    name: Of the arm or the baseline.
    knows: What was learned before.
    per_query: Of each seed, its figures.
    results: Of each seed, its result; none for a baseline.
  """

  name: str
  knows: str
  per_query: Sequence[PerQuery]
  results: Sequence[Mapping[str, Any]] = ()


def report(paths: Paths, all_cells: Iterable[Cell]) -> str:
  """Returns the tables as markdown: one a collection and docid scheme."""
  done = [cell for cell in all_cells if paths.result(cell).exists()]
  old = [cell.name for cell in done if not _is_current(cell, paths)]
  if old:
    raise SystemExit(
      f"{', '.join(old)}: made with other gin files, or of another checkpoint"
      f" or collection. Remove {paths.result(done[0]).parent}/NAME* of them and"
      " run them again."
    )
  groups: dict[tuple[str, str], list[Cell]] = {}
  for cell in done:
    groups.setdefault((cell.collection, cell.docids), []).append(cell)
  parts = []
  for collection in cells.COLLECTIONS:
    baselines = _baselines(collection, paths)
    for docids in cells.DOCIDS:
      found = groups.get((collection, docids), [])
      if not found and not baselines:
        continue
      rows = baselines + _rows(found, paths)
      parts.append(f"### {collection}, {docids} docids\n\n{table(rows)}")
  notes = [f"* {name}: {text}." for name, text in cells.NOTES.items()]
  return "\n\n".join([*parts, "\n".join(notes)])


def _is_current(cell: Cell, paths: Paths) -> bool:
  found = running.read(paths.result(cell))
  if cells.ARMS[cell.arm].checkpoint and paths.checkpoint is None:
    return True  # nothing to compare with
  return found["settings"] == cells.settings(cell, paths)


def table(rows: Sequence[Row]) -> str:
  """Returns a table of rows.

  In brackets stands the 95 % bootstrap interval over the queries, of their
  means over the seeds.
  """
  head = ["", "knows beforehand", "CPU-minutes", "steps", "seeds"]
  head += [*SHOWN, "dev still rises"]
  lines = [head, ["---"] * len(head), *map(_cells_of, rows)]
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells_of(row: Row) -> list[str]:
  steps = [result["steps"] for result in row.results]
  return [
    row.name,
    row.knows,
    _spent(row.results),
    f"{statistics.mean(steps):,.0f}" if steps else "",
    str(len(row.results)) if row.results else "",
    *(_figure(row.per_query, measure) for measure in SHOWN),
    _rises([rise(result["dev"]) for result in row.results]),
  ]


def _spent(results: Sequence[Mapping[str, Any]]) -> str:
  """Words the CPU-minutes of all seeds, and whether any started twice."""
  if not results:
    return ""
  mean = statistics.mean(result["cpu_minutes"] for result in results)
  return f"{mean:.1f}" + (
    ", killed and gone on" if any(r["was_killed"] for r in results) else ""
  )


def _figure(per_query: Sequence[PerQuery], measure: str) -> str:
  """Words a mean and its interval; with several seeds, their spread too."""
  queries = list(per_query[0][measure])
  values = np.array([[one[measure][q] for q in queries] for one in per_query])
  found = bootstrap_interval(values.mean(0))
  spread = ""
  if len(values) > 1:
    spread = f" ± {statistics.stdev(values.mean(1).tolist()):.3f}"
  return f"{found.mean:.3f}{spread} [{found.low:.3f}, {found.high:.3f}]"


def rise(dev: Sequence[Mapping[str, float]]) -> float:
  """Returns what the last third of the looks at dev added to the best before.

  >>> rise([{"RR@10": 0.5}, {"RR@10": 0.75}, {"RR@10": 0.875}])
  0.125
  """
  values = [look["RR@10"] for look in dev]
  cut = max(1, len(values) - len(values) // 3)
  if cut == len(values):
    return 0.0
  return max(values[cut:]) - max(values[:cut])


def _rises(rises: Sequence[float]) -> str:
  if not rises:
    return ""
  mean = statistics.mean(rises)
  return f"yes, {mean:+.3f}" if mean > RISING else f"no, {mean:+.3f}"


def _baselines(collection: str, paths: Paths) -> list[Row]:
  folder = paths.baselines(collection)
  return [
    Row(
      name=name,
      knows=knows,
      per_query=[_per_query(folder / row / "run.trec", collection, paths)],
    )
    for row, (name, knows) in BASELINES.items()
    if (folder / row / "run.trec").exists()
  ]


def _rows(found: Sequence[Cell], paths: Paths) -> list[Row]:
  """Returns a row for each budget and arm, its seeds together."""
  places = list(cells.ARMS)

  def key(cell: Cell) -> tuple[float, int]:
    return (cell.minutes, places.index(cell.arm))

  rows = []
  for (minutes, _), group in itertools.groupby(sorted(found, key=key), key):
    seeds = list(group)
    results = [running.read(paths.result(cell)) for cell in seeds]
    rows.append(
      Row(
        name=f"{seeds[0].arm}, {minutes:g} min",
        knows=seeds[0].knows,
        per_query=[
          _per_query(paths.run_file(cell), cell.collection, paths)
          for cell in seeds
        ],
        results=results,
      )
    )
  return rows


def _per_query(run_file: Path, collection: str, paths: Paths) -> PerQuery:
  return running.evaluated(run_file, paths.collection(collection)).per_query
