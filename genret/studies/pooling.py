"""Rows over folds: the test queries of all folds, each answered in its own."""

import dataclasses
import itertools
import statistics
from collections.abc import Collection, Sequence
from typing import Any

from genret.core.errors import ConfigError
from genret.studies.grid import Study
from genret.studies.rows import Row


def pooled(study: Study, rows: Sequence[Row]) -> list[Row]:
  """Joins rows that differ only on the axis that a study pools.

  As in cross-validation: each fold asks its own test queries of a model that
  was trained for it, and together they are one row, whose measures are means
  over all of these queries. Of seeds those that all folds have. Where a fold
  has no figures yet, the others stay rows of their own.

  Args:
    study: Its `pooled` is the axis, or "".
    rows: Of settings, baselines or other systems.

  Returns:
    The joined rows, without a choice on that axis, each where its first was.

  Raises:
    ConfigError: Two folds ask the same test query.
  """
  axis = study.pooled
  groups: dict[Any, list[Row]] = {}
  for number, row in enumerate(rows):
    others = tuple((a, n) for a, n in row.chosen.items() if a != axis)
    alone = () if axis in row.chosen else (number,)
    groups.setdefault((row.name, others, alone), []).append(row)
  found: list[Row] = []
  for group in groups.values():
    folds = {row.chosen.get(axis) for row in group}
    whole = bool(axis) and folds == set(study.axes[axis])
    found += [_joined(group, axis)] if whole else group
  return found


def _joined(rows: Sequence[Row], axis: str) -> Row:
  first = rows[0]
  asked = [query for row in rows for query in row.parts["all"]]
  if len(asked) > len(set(asked)):
    raise ConfigError(
      f"Rows are pooled over {axis}, and two of its choices ask the same test"
      " queries. Folds do not: --folds=5 --fold={fold} of genret resplit."
    )
  seeds = _shared([row.seeds for row in rows])
  kept = [_of_seeds(row, seeds) for row in rows]
  counts = [row.synthetic_queries for row in rows]
  known = [count for count in counts if count is not None]
  return dataclasses.replace(
    first,
    chosen={a: name for a, name in first.chosen.items() if a != axis},
    results=_seed_by_seed([row.results for row in kept]),
    per_query=[
      {
        measure: {q: v for one in seed for q, v in one[measure].items()}
        for measure in seed[0]
      }
      for seed in zip(*(row.per_query for row in kept), strict=True)
    ],
    parts={
      part: tuple(query for row in rows for query in row.parts[part])
      for part in first.parts
    },
    clusters={q: c for row in rows for q, c in row.clusters.items()},
    seeds=seeds,
    runs=_seed_by_seed([row.runs for row in kept]),
    synthetic_queries=statistics.mean(known)
    if len(known) == len(counts)
    else None,
  )


def _seed_by_seed(folds: Sequence[Sequence[Any]]) -> list[Any]:
  """Lists what folds have of each seed, a seed's folds together."""
  return [one for seed in zip(*folds, strict=True) for one in seed]


def _shared(seeds: Sequence[Collection[int]]) -> list[int]:
  return [seed for seed in seeds[0] if all(seed in other for other in seeds)]


def _of_seeds(row: Row, seeds: Sequence[int]) -> Row:
  """Returns a row of some of its seeds; a baseline has none, and stays."""
  chosen = [seed in seeds for seed in row.seeds] or [True]
  changes = {
    name: list(itertools.compress(getattr(row, name), chosen))
    for name in ("results", "per_query", "runs")
  }
  return dataclasses.replace(row, seeds=seeds, **changes)
