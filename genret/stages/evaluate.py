"""The evaluation stage: run files and qrels in, figures and a table out."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genret.core import artifacts, runs
from genret.core.collection import Collection
from genret.core.errors import ConfigError, DataError, UserError, suggest
from genret.core.runs import Run
from genret.evaluation import articles, comparison
from genret.evaluation.comparison import Comparison
from genret.evaluation.measures import DEFAULT_MEASURES, Evaluation, evaluate

STAGE = "evaluate"
METRICS = "metrics.json"
TABLE = "table.txt"
COMPARISONS = "comparisons.json"
PER_QUERY = "per_query.tsv"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
  """Which queries are judged, and what is reported.

  Attributes:
    split: Whose judgements.
    measures: Names as ir-measures spells them; the first says which row of
      the table is best.
    relevance: The lowest grade that counts as relevant.
    per_query: Whether per_query.tsv is written too.
    baseline: The system that the others are compared with, or None.
    compare_on: The measures they are compared on.
    flips: Sign assignments that a test draws.
    seed: Of the tests and the intervals.
  """

  split: str = "test"
  measures: tuple[str, ...] = DEFAULT_MEASURES
  relevance: int = 1
  per_query: bool = False
  baseline: str | None = None
  compare_on: tuple[str, ...] = ("RR@10", "R@10")
  flips: int = 10_000
  seed: int = 0

  def __post_init__(self):
    if not self.measures:
      raise ConfigError("EvaluateConfig.measures names no measure")
    if self.seed < 0:
      raise ConfigError(f"seed is at least 0; {self.seed} came")
    missing = sorted(set(self.compare_on) - set(self.measures))
    if self.baseline is not None and missing:
      raise ConfigError(
        f"systems cannot be compared on {', '.join(missing)}: add it to"
        " EvaluateConfig.measures, or take it from compare_on"
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
  """What an evaluation found.

  Attributes:
    split: Whose judgements.
    evaluations: System to its figures, in the order given.
    comparisons: With the baseline; empty without one.
  """

  split: str
  evaluations: Mapping[str, Evaluation]
  comparisons: Sequence[Comparison] = ()

  def metrics(self) -> dict[str, dict[str, Any]]:
    """Return what metrics.json holds: system to measures and counts."""
    return {
      system: {
        **found.means,
        "num_queries": found.num_queries,
        "num_unanswered": found.num_unanswered,
        "num_without_relevant": found.num_without_relevant,
        "num_ignored": found.num_ignored,
        "relevance": found.relevance,
        "split": self.split,
      }
      for system, found in self.evaluations.items()
    }

  def table(self) -> str:
    """Return the figures as a table for people, the best row marked."""
    first = next(iter(self.evaluations.values()))
    names = list(first.means)
    best = max(e.means[names[0]] for e in self.evaluations.values())
    rows = [["", *names, "unanswered"]]
    for system, found in self.evaluations.items():
      mark = "* " if found.means[names[0]] == best else "  "
      figures = [f"{found.means[name]:.3f}" for name in names]
      rows.append([mark + system, *figures, str(found.num_unanswered)])
    lines = _aligned(rows)
    lines.append(
      f"{first.num_queries} queries of split {self.split!r}, relevant from"
      f" grade {first.relevance} on; * best {names[0]}"
    )
    if first.num_without_relevant:
      lines.append(
        f"{first.num_without_relevant} queries have no relevant document and"
        " score zero"
      )
    if self.comparisons:
      lines += ["", *self._compared()]
    return "\n".join(lines)

  def _compared(self) -> list[str]:
    rows = [["", "measure", "difference", "interval", "p", "p (Holm)"]]
    for found in self.comparisons:
      gap = found.difference
      rows.append(
        [
          f"  {found.system}",
          found.measure,
          f"{gap.mean:+.3f}",
          f"[{gap.low:+.3f}, {gap.high:+.3f}]",
          _p(found.p_value),
          _p(found.p_corrected),
        ]
      )
    confidence = self.comparisons[0].difference.confidence
    return [
      f"against {self.comparisons[0].baseline}: paired sign-flip test,"
      f" bootstrap interval ({confidence:.0%}), Holm's correction over"
      f" {len(self.comparisons)} tests",
      *_aligned(rows),
    ]


def run(
  config: EvaluateConfig,
  collection: Collection,
  run_files: Mapping[str, Path],
  *,
  out: Path,
  gin_text: str = "",
) -> Report:
  """Evaluate runs, and write metrics.json and table.txt.

  Args:
    config: What is reported.
    collection: Whose queries the runs answer.
    run_files: System to its TREC run file, in the order of the table.
    out: The artifact's folder.
    gin_text: The configuration, for the provenance.

  Returns:
    The report. It is made anew even where the artifact stands already.

  Raises:
    ArtifactError: `out` holds the evaluation of other runs.
    DataError: A run file is broken, or one of another collection.
    UserError: An unknown measure, split or baseline.
  """
  recipe = _recipe(config, collection, run_files)
  done = artifacts.existing(Path(out), recipe)
  report = evaluate_runs(config, collection, run_files)
  if done is None:
    with artifacts.building(Path(out), recipe, gin_text=gin_text) as folder:
      artifacts.write_json(folder / METRICS, report.metrics())
      artifacts.write_text(folder / TABLE, report.table() + "\n")
      if config.baseline is not None:
        found = [dataclasses.asdict(c) for c in report.comparisons]
        artifacts.write_json(folder / COMPARISONS, found)
      if config.per_query:
        lines = _per_query_lines(report)
        artifacts.write_text(folder / PER_QUERY, "".join(lines))
  return report


def evaluate_runs(
  config: EvaluateConfig,
  collection: Collection,
  run_files: Mapping[str, Path],
) -> Report:
  """Evaluate runs without writing anything; arguments as for `run`."""
  if not run_files:
    raise UserError("there are no runs to evaluate")
  if config.baseline is not None and config.baseline not in run_files:
    raise UserError(
      f"no run is named {config.baseline!r}, the baseline."
      f"{suggest(config.baseline, run_files)}"
    )
  qrels = collection.qrels(config.split)
  found = {system: runs.read_trec(path) for system, path in run_files.items()}
  _check_ids(collection, found, run_files)
  evaluations = {
    system: evaluate(
      found[system],
      qrels,
      measures=config.measures,
      relevance=config.relevance,
    )
    for system in run_files
  }
  return Report(
    split=config.split,
    evaluations=evaluations,
    comparisons=_compare(config, evaluations, collection),
  )


def _compare(
  config: EvaluateConfig,
  evaluations: Mapping[str, Evaluation],
  collection: Collection,
) -> list[Comparison]:
  if config.baseline is None:
    return []
  qrels = collection.qrels(config.split)
  return comparison.compare(
    {system: found.per_query for system, found in evaluations.items()},
    baseline=config.baseline,
    measures=config.compare_on,
    clusters=articles.of_collection(
      collection, qrels, relevance=config.relevance
    ),
    flips=config.flips,
    seed=config.seed,
  )


def _recipe(
  config: EvaluateConfig,
  collection: Collection,
  run_files: Mapping[str, Path],
) -> artifacts.Recipe:
  arguments = dataclasses.asdict(config)
  seed = arguments.pop("seed")
  inputs = {
    f"run {system}": _file_hash(path) for system, path in run_files.items()
  }
  return artifacts.Recipe(
    stage=STAGE,
    arguments={**arguments, "systems": list(run_files)},
    seed=seed,
    inputs={"collection": collection.identity, **inputs},
  )


def _file_hash(path: Path) -> str:
  if not Path(path).is_file():
    raise UserError(f"there is no run file {path}; `genret retrieve` makes one")
  return artifacts.file_hash(path)


def _check_ids(
  collection: Collection,
  found: Mapping[str, Run],
  run_files: Mapping[str, Path],
) -> None:
  """Refuse runs of another collection, by their queries and documents."""
  queries = {query_id for run in found.values() for query_id in run}
  queries.difference_update(query.query_id for query in collection.queries())
  docnos = {
    hit.docno for run in found.values() for hits in run.values() for hit in hits
  }
  docnos.difference_update(collection.docnos)
  for system, hits_of in found.items():
    named = (hit.docno for hits in hits_of.values() for hit in hits)
    odd = [f"query {q!r}" for q in hits_of if q in queries]
    odd += [f"document {d!r}" for d in named if d in docnos]
    if odd:
      raise DataError(
        f"{odd[0]} is not in collection {collection.name!r}"
        f" ({collection.root}); is this a run of another collection?",
        path=run_files[system],
      )


def _per_query_lines(report: Report) -> list[str]:
  names = list(next(iter(report.evaluations.values())).means)
  lines = ["\t".join(["system", "query-id", *names]) + "\n"]
  for system, found in report.evaluations.items():
    for query_id in found.per_query[names[0]]:
      values = [f"{found.per_query[name][query_id]:.9g}" for name in names]
      lines.append("\t".join([system, query_id, *values]) + "\n")
  return lines


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
  """Pad the cells of each column: the first to the left, others right."""
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return [
    "  ".join(
      cell.ljust(width) if i == 0 else cell.rjust(width)
      for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    for row in rows
  ]


def _p(value: float) -> str:
  return f"{value:.4f}" if value >= 1e-4 else "<.0001"
