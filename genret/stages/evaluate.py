"""The evaluation stage: run files and qrels in, figures and a table out."""

import dataclasses
import types
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from genret.core import artifacts, runs
from genret.core.collection import Collection, Qrels
from genret.core.docnos import Docnos
from genret.core.errors import ConfigError, DataError, UserError, suggest
from genret.core.runs import Run
from genret.evaluation import articles, comparison, crossed
from genret.evaluation import judges as judging
from genret.evaluation.articles import Article
from genret.evaluation.judges import Judge
from genret.evaluation.measures import DEFAULT_MEASURES, Evaluation, evaluate
from genret.evaluation.significance import Interval
from genret.stages.evaluate_report import Report

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


def run(
  config: EvaluateConfig,
  collection: Collection,
  run_files: Mapping[str, Path],
  *,
  judges: Mapping[str, str] = types.MappingProxyType({}),
  out: Path,
  gin_text: str = "",
) -> Report:
  """Evaluate runs, and write metrics.json and table.txt.

  Args:
    config: What is reported.
    collection: Whose queries the runs answer.
    run_files: System to its TREC run file, in the order of the table.
    judges: Name of another judge to FILE:GRADE, its judgements and the lowest
      grade that is relevant to it; every run is measured by these as well.
    out: The artifact's folder.
    gin_text: The configuration, for the provenance.

  Returns:
    The report. It is made anew even where the artifact stands already.

  Raises:
    ArtifactError: `out` holds the evaluation of other runs.
    DataError: A file is broken, or one of another collection.
    UserError: An unknown measure, split, baseline or judge.
  """
  known = {name: Judge.parse(text) for name, text in judges.items()}
  recipe = _recipe(config, collection, run_files, judges=known)
  done = artifacts.existing(Path(out), recipe)
  report = evaluate_runs(config, collection, run_files, judges=known)
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
  *,
  judges: Mapping[str, Judge] = types.MappingProxyType({}),
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
  check_ids(collection, found, run_files)
  evaluations = _evaluations(found, qrels, config)
  clusters = articles.of_collection(
    collection, qrels, relevance=config.relevance
  )
  compared = []
  if config.baseline is not None:
    compared = comparison.compare(
      {system: one.per_query for system, one in evaluations.items()},
      baseline=config.baseline,
      measures=config.compare_on,
      clusters=clusters,
      flips=config.flips,
      seed=config.seed,
    )
  return Report(
    split=config.split,
    evaluations=evaluations,
    intervals={
      system: _intervals(one, clusters, seed=config.seed)
      for system, one in evaluations.items()
    },
    articles=len(set(clusters.values())),
    comparisons=compared,
    judged={
      name: _evaluations(
        found,
        _judged(collection, qrels, judge),
        dataclasses.replace(config, relevance=judge.relevance),
      )
      for name, judge in judges.items()
    },
  )


def _intervals(
  found: Evaluation, clusters: Mapping[str, Article], *, seed: int
) -> dict[str, Interval]:
  """Returns those of the measures that are means; some are sums."""
  intervals = {}
  for measure, values in found.per_query.items():
    labels = [clusters[query] for query in values]
    one = crossed.mean(np.array(list(values.values())), labels, seed=seed)
    if one.clusters > 1 and np.isclose(one.mean, found.means[measure]):
      intervals[measure] = one.interval()
  return intervals


def _evaluations(
  found: Mapping[str, Run], qrels: Qrels, config: EvaluateConfig
) -> dict[str, Evaluation]:
  return {
    system: evaluate(
      run, qrels, measures=config.measures, relevance=config.relevance
    )
    for system, run in found.items()
  }


def _judged(collection: Collection, qrels: Qrels, judge: Judge) -> Qrels:
  """Returns what a judge says of the queries of a split."""
  given = judging.read(judge.path)
  named = {docno: query for query, grades in given.items() for docno in grades}
  rows = collection.docnos.find(list(named))
  if odd := [d for d, row in zip(named, rows, strict=True) if row < 0]:
    raise DataError(
      f"document {odd[0]!r}, judged for query {named[odd[0]]!r}, is not in"
      f" collection {collection.name!r}; are these judgements of another one?",
      path=judge.path,
    )
  kept = {query: grades for query, grades in given.items() if query in qrels}
  if not kept:
    raise DataError(
      f"none of the {len(given)} queries judged in it is among the"
      f" {len(qrels)} of the split, such as {next(iter(qrels))!r}",
      path=judge.path,
    )
  return kept


def _recipe(
  config: EvaluateConfig,
  collection: Collection,
  run_files: Mapping[str, Path],
  *,
  judges: Mapping[str, Judge],
) -> artifacts.Recipe:
  arguments = dataclasses.asdict(config)
  seed = arguments.pop("seed")
  inputs = {
    f"run {system}": _file_hash(path) for system, path in run_files.items()
  }
  for name, judge in judges.items():
    if not judge.path.is_file():
      raise UserError(f"there is no file {judge.path} of judge {name!r}")
    inputs[f"judge {name}"] = artifacts.file_hash(judge.path)
  if judges:
    thresholds = {name: judge.relevance for name, judge in judges.items()}
    arguments["judges"] = thresholds
  if config.baseline is not None:
    arguments["tested_over"] = "articles"
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


def check_ids(
  collection: Collection,
  found: Mapping[str, Run],
  run_files: Mapping[str, Path],
) -> None:
  """Refuse runs of another collection, by their queries and documents.

  Args:
    collection: Whose queries they are to answer.
    found: System to its run.
    run_files: System to the file that the run was read from.

  Raises:
    DataError: A run has a query or a document that the collection lacks.
  """
  queries = {query_id for run in found.values() for query_id in run}
  queries.difference_update(query.query_id for query in collection.queries())
  named = {
    hit.docno for run in found.values() for hits in run.values() for hit in hits
  }
  docnos = _unknown(named, collection.docnos)
  for system, hits_of in found.items():
    found_here = (hit.docno for hits in hits_of.values() for hit in hits)
    odd = [f"query {q!r}" for q in hits_of if q in queries]
    odd += [f"document {d!r}" for d in found_here if d in docnos]
    if odd:
      raise DataError(
        f"{odd[0]} is not in collection {collection.name!r}"
        f" ({collection.root}); is this a run of another collection?",
        path=run_files[system],
      )


def _unknown(named: set[str], docnos: Docnos) -> set[str]:
  listed = list(named)
  rows = docnos.find(listed)
  return {docno for docno, row in zip(listed, rows, strict=True) if row < 0}


def _per_query_lines(report: Report) -> list[str]:
  names = list(next(iter(report.evaluations.values())).means)
  lines = ["\t".join(["system", "query-id", *names]) + "\n"]
  for system, found in report.evaluations.items():
    for query_id in found.per_query[names[0]]:
      values = [f"{found.per_query[name][query_id]:.17g}" for name in names]
      lines.append("\t".join([system, query_id, *values]) + "\n")
  return lines
