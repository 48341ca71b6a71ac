"""What a study found, as data: results.json, from which reports are made."""

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genret.core import artifacts
from genret.evaluation import comparison
from genret.studies import growth, published, rows
from genret.studies.cells import Worker
from genret.studies.contrasts import Contrast
from genret.studies.findings import Findings
from genret.studies.grid import Cell, Study
from genret.studies.growth import Slope
from genret.studies.rows import Row

FILE = "results.json"
FORMAT_VERSION = 1
COSTS = "costs.json"  # of a cell, where it was measured
DIAGNOSTICS = "diagnostics.json"


def write(worker: Worker, cells: Sequence[Cell], findings: Findings) -> None:
  """Writes results.json beside the tables.

  Args:
    worker: Of the study.
    cells: All of its cells.
    findings: What they say.
  """
  value = of(worker, cells, findings)
  artifacts.write_json(worker.layout.workdir / FILE, value)


def of(
  worker: Worker, cells: Sequence[Cell], findings: Findings
) -> dict[str, Any]:
  """Returns what results.json says; arguments as for `write`.

  But for `made`, `machine`, CPU-times and `was_killed` it depends on settings
  and seeds alone: a study that was killed comes to the same.
  """
  study = worker.layout.study
  steps = [step for one in findings.orders for step in one.steps]
  lines = [_row(worker, row) for row in findings.every]
  return {
    "format": FORMAT_VERSION,
    "name": study.name,
    "axes": {axis: list(choices) for axis, choices in study.axes.items()},
    "axis_order": list(study.axes),
    **_searched(study),
    "compared": study.compared,
    "split": study.split,
    "measures": list(study.measures),
    "plateau": study.plateau,
    "rising": rows.RISING,
    "memorised": study.memorised,
    "margin": comparison.MARGIN,
    "notes": dict(study.notes),
    "rows": lines,
    "contrasts": [
      *map(_contrast, findings.asked.contrasts),
      *(_contrast(step.contrast) for step in steps),
    ],
    "untested": [list(one) for one in findings.asked.untested],
    "slopes": list(map(_slope, findings.growth.slopes)),
    "not_fitted": list(findings.growth.not_fitted),
    "missing": missing(worker, cells).as_json(),
    "machine": _machine(lines, findings.rows),
    "cpu_hours": _cpu_hours(findings.rows),
    "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
  }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Missing:
  """The cells without figures.

  Attributes:
    failed: Those whose last attempt failed -> why.
    left_out: Those that lack something -> what.
    other_settings: Those that are done, with settings of another time.
    waiting: The others.
    baselines: Name of each that is to stand beside finished cells and does
      not -> where to look.
  """

  failed: Mapping[str, str]
  left_out: Mapping[str, str]
  baselines: Mapping[str, str]
  other_settings: Sequence[str]
  waiting: Sequence[str]

  def as_json(self) -> dict[str, Any]:
    """Returns plain lists."""
    return {
      "failed": [list(one) for one in self.failed.items()],
      "left_out": [list(one) for one in self.left_out.items()],
      "baselines": [list(one) for one in self.baselines.items()],
      "other_settings": list(self.other_settings),
      "waiting": list(self.waiting),
    }


def missing(worker: Worker, cells: Sequence[Cell]) -> Missing:
  """Sorts the cells that have no figures by why."""
  layout = worker.layout
  failed, left_out, other, waiting, done = {}, {}, [], [], []
  for cell in cells:
    if worker.is_done(cell):
      done.append(cell)
      continue
    if layout.failure(cell).exists():
      why = layout.failure(cell).read_text("utf-8").strip()
      failed[cell.name] = why
    elif (lack := layout.lack(cell)) is not None:
      left_out[cell.name] = lack
    elif layout.result(cell).exists():
      other.append(cell.name)
    else:
      waiting.append(cell.name)
  return Missing(
    failed=failed,
    left_out=left_out,
    baselines=_baselines(worker, done),
    other_settings=other,
    waiting=waiting,
  )


def _baselines(worker: Worker, done: Sequence[Cell]) -> dict[str, str]:
  """Returns the baselines that lack beside finished cells -> where to look."""
  layout = worker.layout
  return {
    task.name: "not made with these settings; see "
    + str(layout.log(task.name).relative_to(layout.workdir))
    for task, _ in layout.baselines(done)
    if not worker.is_shared(task)
  }


def _searched(study: Study) -> dict[str, Any]:
  """Returns the axes that say what is searched, and on which it grows."""
  return {
    "collection_axes": [
      axis for axis in study.matters("resplit") if axis != study.pooled
    ],
    "ladder_axis": growth.axis(study),
  }


def _row(worker: Worker, row: Row) -> dict[str, Any]:
  study, workdir = worker.layout.study, worker.layout.workdir
  folders = [run.parent for run in row.runs]
  costs = _means([_read(folder, COSTS) for folder in folders])
  return {
    "chosen": dict(row.chosen),
    "name": row.name,
    "knows": row.knows,
    "documents": row.documents,
    "seeds": list(row.seeds),
    "cells": [os.path.relpath(f, workdir) for f in folders if row.results],
    "runs": [os.path.relpath(run, workdir) for run in row.runs],
    "figures": {
      part: _figures(row, part, study.measures) for part in rows.parts_of([row])
    },
    "parameters": row.mean("parameters"),
    "flops": costs and costs.get("flops"),
    "synthetic_queries": row.synthetic_queries,
    "steps": row.mean("steps"),
    "exposures": row.mean("exposures"),
    "cpu_minutes": row.mean("cpu_minutes"),
    "memorised": row.hits,
    "under_trained": row.under_trained,
    "dev_rise": row.rise(study.measures[0]),
    "was_killed": any(one["was_killed"] for one in row.results),
    "dev": [one["dev"] for one in row.results],
    "costs": costs,
    "diagnostics": _means([_read(folder, DIAGNOSTICS) for folder in folders]),
    "published": [] if row.name else published.expected(row.chosen),
  }


def _figures(row: Row, part: str, measures: Sequence[str]) -> dict[str, Any]:
  found: dict[str, Any] = {"num_queries": len(row.parts[part])}
  for measure in measures:
    figure = row.figure(measure, part)
    low, high = figure.bounds
    found[measure] = {
      "mean": figure.interval.mean,
      "low": low,
      "high": high,
      "spread": figure.spread,
      "per_seed": row.values(measure, part).mean(1).tolist(),
    }
  return found


def _contrast(found: Contrast) -> dict[str, Any]:
  gap, (low, high) = found.difference, found.bounds
  return {
    "name": found.pair.name,
    "a": _named(found.pair.a),
    "b": _named(found.pair.b),
    "measure": found.measure,
    "difference": gap.mean,
    "low": low,
    "high": high,
    "p": found.p_value,
    "p_corrected": found.p_corrected,
    "verdict": found.verdict,
    "equivalence_p": found.equivalence_p,
    "equivalence_p_corrected": found.equivalence_corrected,
    "detectable": found.detectable,
    "named_before": found.named_before,
  }


def _named(row: Row) -> dict[str, str]:
  """Returns the choices of a row, and the name of a baseline."""
  return {**row.chosen, **({"name": row.name} if row.name else {})}


def _slope(found: Slope) -> dict[str, Any]:
  return {
    "of": {**found.of, **({"name": found.name} if found.name else {})},
    "measure": found.measure,
    "slope_per_decade": found.a_decade.mean,
    "low": found.a_decade.low,
    "high": found.a_decade.high,
    "rungs": found.rungs,
  }


def _machine(lines: Sequence[Mapping[str, Any]], found: Sequence[Row]) -> Any:
  """Returns the machine of the first cell that says where it ran.

  Its device is the one that costs were measured on, if they were.
  """
  every = [result.get("machine") for row in found for result in row.results]
  first = next((one for one in every if one), None)
  for line in lines:
    device = ((line["costs"] or {}).get("machine") or {}).get("device")
    if first and device:
      return {**first, "device": device}
  return first


def _cpu_hours(found: Sequence[Row]) -> float:
  names = ("cpu_minutes", "search_cpu_minutes")
  return sum(
    result.get(name, 0.0) / 60
    for row in found
    for result in row.results
    for name in names
  )


def _read(folder: Path, name: str) -> Any:
  """Reads a file of a cell, or of its model; None where there is none."""
  for path in (folder / name, folder / "model" / name):
    if path.exists():
      return artifacts.read_json(path)
  return None


def _means(found: Sequence[Any]) -> Any:
  """Returns the mean of what has the same place in several values of JSON.

  Numbers that one of them lacks are left out; of other values the first holds.

  >>> _means([{"p50": 1, "device": "cpu"}, {"p50": 2, "device": "cpu"}])
  {'p50': 1.5, 'device': 'cpu'}
  >>> _means([None, {"p50": 1}]) is None
  True
  """
  if not found or any(one is None for one in found):
    return None
  first = found[0]
  if isinstance(first, dict):
    shared = [k for k in first if all(k in one for one in found)]
    return {key: _means([one[key] for one in found]) for key in shared}
  if isinstance(first, list):
    return [_means(list(same)) for same in zip(*found, strict=False)]
  if isinstance(first, bool) or not isinstance(first, int | float):
    return first
  return sum(found) / len(found)
