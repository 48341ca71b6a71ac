"""What a cell is worth: its figures, read from the files of its commands."""

import collections
import csv
import dataclasses
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from genret.core import artifacts, machine
from genret.core.collection import Collection, Qrels
from genret.evaluation import articles, splits
from genret.evaluation.articles import Article
from genret.models import shapes
from genret.retrieval import dual_spec
from genret.retrieval.dual_spec import DualSpec
from genret.retrieval.model_folder import ModelSpec
from genret.stages import evaluate, memorised
from genret.studies import calibration
from genret.studies.grid import Cell
from genret.studies.layout import Layout, Run
from genret.tasks import synthetic

PerQuery = Mapping[str, Mapping[str, float]]  # measure -> query -> value
PARTS = (
  *("all", "covered", "uncovered"),
  *(f"training queries: {number}" for number in splits.TRAINING_QUERIES),
)
"""Which test queries: covered ones have an answer with a training query."""
SHOWN = PARTS[:3]
"""Those that have tables for people."""
QUERIES, NUM_QUERIES = "--gin.QUERIES", "--gin.NUM_QUERIES"
"""Flags of training: synthetic queries, and at most how many of a document."""


def of_cell(layout: Layout, cell: Cell) -> dict[str, Any]:
  """Returns what a trained and searched cell is worth.

  Args:
    layout: Of the study.
    cell: Whose run is measured.
  """
  folder = layout.model(cell)
  found = per_query(layout, cell)
  parts = queries(layout, cell)
  return {
    "cell": dict(cell.chosen),
    "seed": cell.seed,
    "figures": {
      part: means(found, parts[part]) for part in PARTS if parts[part]
    },
    "queries": {part: len(parts[part]) for part in PARTS},
    "memorised": artifacts.read_json(folder / memorised.FILE),
    "dev": dev_curve(folder),
    "parameters": parameters(folder),
    "model": artifacts.identity(folder),
    "machine": machine.describe(),
  }


def per_query(layout: Layout, cell: Cell) -> PerQuery:
  """Reads the figures of each query of a cell."""
  path = layout.cell(cell) / "evaluation" / evaluate.PER_QUERY
  with open(path, encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file, delimiter="\t"))
  return {
    measure: {row["query-id"]: float(row[measure]) for row in rows}
    for measure in layout.study.measures
  }


def collection(layout: Layout, cell: Cell) -> Collection:
  """Opens the collection that a cell is trained and judged on."""
  return Collection.open(layout.collection(cell.chosen))


def queries(layout: Layout, cell: Cell) -> dict[str, tuple[str, ...]]:
  """Parts the queries that a cell is judged on by PARTS."""
  return _asked(layout, cell).parts


def clusters(layout: Layout, cell: Cell) -> Mapping[str, Article]:
  """Returns the article of each query that a cell is judged on."""
  return _asked(layout, cell).clusters


def judgements(layout: Layout, cell: Cell) -> Qrels:
  """Returns the judgements that a cell is judged by."""
  return _asked(layout, cell).qrels


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Asked:
  """What a split asks, read once for all cells and baselines."""

  qrels: Qrels
  parts: dict[str, tuple[str, ...]]
  clusters: Mapping[str, Article]


def _asked(layout: Layout, cell: Cell) -> _Asked:
  found = collection(layout, cell)
  return _read_asked(found.root, found.identity, layout.study.split)


@functools.lru_cache(maxsize=64)
def _read_asked(root: Path, identity: str, split: str) -> _Asked:
  del identity  # one that was made anew is read anew
  found = Collection.open(root)
  judged = found.qrels(split)
  trained = found.qrels("train") if "train" in found.splits else {}
  parts = splits.by_coverage(trained, judged)
  asked = splits.by_training_queries(trained, judged)
  return _Asked(
    qrels=judged,
    parts={
      "all": tuple(judged),
      "covered": parts.covered,
      "uncovered": parts.uncovered,
      **{f"training queries: {number}": ids for number, ids in asked.items()},
    },
    clusters=articles.of_collection(found, judged),
  )


def synthetic_queries(layout: Layout, cell: Cell) -> float | None:
  """Counts the synthetic queries of a document that a cell is trained on.

  In the mean over all documents, as long as the file of queries is there; None
  where it is not, or none is read.
  """
  run = Run(folder=Path("model"), steps=1, eval_period=1, seed=0)
  flags = dict(flag.partition("=")[::2] for flag in layout.training(cell, run))
  if QUERIES not in flags:
    return None
  path = synthetic.queries_file(Path(flags[QUERIES]))
  if not path.exists():
    return None
  most = flags.get(NUM_QUERIES, "None")
  read = _queries_read(path, int(most) if most.isdigit() else None)
  return read / collection(layout, cell).num_documents


@functools.lru_cache(maxsize=64)
def _queries_read(path: Path, most: int | None) -> int:
  """Counts queries, at most so many of a document."""
  counts = collections.Counter(
    query.docno for query in synthetic.read_queries(path)
  )
  return sum(n if most is None else min(n, most) for n in counts.values())


def means(found: PerQuery, wanted: Iterable[str]) -> dict[str, float]:
  """Returns the mean of each measure over some queries.

  >>> means({"R@1": {"a": 1.0, "b": 0.0, "c": 1.0}}, ["a", "b"])
  {'R@1': 0.5}
  """
  wanted = list(wanted)
  return {
    measure: float(np.mean([values[query] for query in wanted]))
    for measure, values in found.items()
  }


def dev_curve(folder: Path) -> list[dict[str, float]]:
  """Returns what each look at dev found, and the loop's CPU-minutes by then."""
  found = calibration.scalars(folder)
  measures = [tag for tag in found if tag.startswith("dev/")]
  steps = found[measures[0]] if measures else {}
  return [
    {
      "step": step,
      "loop_cpu_minutes": found["cpu_seconds"][step] / 60,
      **{tag.removeprefix("dev/"): found[tag][step] for tag in measures},
    }
    for step in sorted(steps)
  ]


def rise(dev: Iterable[Mapping[str, float]], measure: str) -> float | None:
  """Returns what the last third of the looks at dev added to the best before.

  None where fewer than two looks have the measure: then nobody knows.

  >>> rise([{"RR@10": 0.5}, {"RR@10": 0.75}, {"RR@10": 0.875}], "RR@10")
  0.125
  """
  values = [look[measure] for look in dev if measure in look]
  if len(values) < 2:
    return None
  cut = len(values) - max(1, len(values) // 3)
  return max(values[cut:]) - max(values[:cut])


def parameters(folder: Path) -> int:
  """Counts the parameters of the model in a folder."""
  if dual_spec.is_dual(folder):
    found = shapes.abstract_module(DualSpec.load(folder).module)
  else:
    found = shapes.abstract(ModelSpec.load(folder).model)
  return sum(leaf.size for leaf in jax.tree.leaves(found["params"]))
