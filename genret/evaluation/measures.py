"""Effectiveness of a run against qrels, by ir-measures under its own names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures

from genret.core.collection import Qrels
from genret.core.errors import UserError, suggest
from genret.core.runs import Hit, Run

DEFAULT_MEASURES = (
  "RR@10",
  "R@1",
  "R@5",
  "R@10",
  "R@100",
  "Success@1",
  "Success@10",
  "nDCG@10",
  "Judged@10",
)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
  """What a run is worth on one set of qrels.

  Attributes:
    means: Measure name, as it was asked for, to its mean over all queries of
      the qrels (measures that count, such as NumRet, are summed).
    per_query: Measure name to query id to value, for every query of the qrels.
    num_queries: Queries in the qrels: what the means divide by.
    num_unanswered: Of these, queries for which the run has no hit. They score
      zero in every measure.
    num_without_relevant: Of these, queries without a document of at least the
      relevance threshold. They score zero, as in trec_eval, and stay in the
      mean: a high count means that the threshold does not fit the qrels.
    num_ignored: Queries of the run that the qrels do not hold.
    relevance: The lowest grade that counts as relevant.
  """

  means: Mapping[str, float]
  per_query: Mapping[str, Mapping[str, float]]
  num_queries: int
  num_unanswered: int
  num_without_relevant: int
  num_ignored: int
  relevance: int


def evaluate(
  run: Run,
  qrels: Qrels,
  *,
  measures: Sequence[str] = DEFAULT_MEASURES,
  relevance: int = 1,
) -> Evaluation:
  """Score a run on every query of the qrels.

  The order of the hits is the ranking, and their scores only have to agree
  with it. So no measure depends on docnos, whereas trec_eval breaks equal
  scores by docno.

  Two of two queries count below, though only the first is answered:

  >>> run = {"q1": [Hit(docno="b", score=9.0), Hit(docno="a", score=8.0)]}
  >>> qrels = {"q1": {"a": 1}, "q2": {"c": 1}}
  >>> result = evaluate(run, qrels, measures=["RR@10", "R@10"])
  >>> dict(result.means), result.num_unanswered
  ({'RR@10': 0.25, 'R@10': 0.5}, 1)

  Args:
    run: Query id to hits, best first.
    qrels: Query id to docno to grade.
    measures: Names as ir-measures spells them. A name that states a threshold
      of its own, such as `RR(rel=2)@10`, keeps it.
    relevance: The lowest grade that counts as relevant, for every measure that
      has a threshold. nDCG has none: its gains are the grades themselves;
      Judged asks only whether there is a grade.

  Returns:
    Means, values per query, and counts of the queries that scored zero because
    nothing was found or nothing could be found.

  Raises:
    UserError: An unknown measure, empty qrels, a run none of whose queries is
      in the qrels, a document twice for a query, or scores that rise.
  """
  parsed = {name: parse_measure(name, relevance=relevance) for name in measures}
  if not qrels:
    raise UserError("there are no judgements to evaluate against (empty qrels)")
  if run and not any(query_id in qrels for query_id in run):
    raise UserError(
      f"none of the {len(run)} queries of the run is among the"
      f" {len(qrels)} judged ones (first of the run: {next(iter(run))!r},"
      f" first judged: {next(iter(qrels))!r}); is it a run for another"
      " collection or split?"
    )
  judged = {q: _rank_scores(q, run[q]) for q in qrels if run.get(q)}
  per_query = _per_query(parsed, qrels, judged)
  return Evaluation(
    means={name: _aggregate(parsed[name], per_query[name]) for name in parsed},
    per_query=per_query,
    num_queries=len(qrels),
    num_unanswered=len(qrels) - len(judged),
    num_without_relevant=sum(
      max(grades.values(), default=relevance - 1) < relevance
      for grades in qrels.values()
    ),
    num_ignored=sum(query_id not in qrels for query_id in run),
    relevance=relevance,
  )


def parse_measure(name: str, *, relevance: int = 1) -> ir_measures.Measure:
  """Return the measure of this name with the relevance threshold set.

  >>> parse_measure("R@10", relevance=2)
  R(rel=2)@10
  >>> parse_measure("nDCG@10", relevance=2)
  nDCG@10

  Args:
    name: As ir-measures spells it, such as "RR@10" or "nDCG@10".
    relevance: The lowest relevant grade, unless the name states one.

  Raises:
    UserError: The name is not one that ir-measures knows and can compute.
  """
  try:
    measure = ir_measures.parse_measure(name)
    if _has_threshold(measure) and "rel" not in measure.params:
      measure = measure(rel=relevance)
    measure.validate_params()
  except (AssertionError, NameError, ValueError) as error:
    raise UserError(_explain(name)) from error
  if measure.params.get("cutoff", 1) < 1:
    raise UserError(f"measure {name!r}: a cutoff counts hits, from 1 on")
  if not ir_measures.DefaultPipeline.supports(measure):
    raise UserError(
      f"measure {name!r} needs a provider of ir-measures that is not installed"
      " (https://ir-measur.es lists them)"
    )
  return measure


def _has_threshold(measure: ir_measures.Measure) -> bool:
  """Say whether the measure tells relevant from not; NumRet counts all."""
  threshold = measure.SUPPORTED_PARAMS.get("rel")
  return threshold is not None and isinstance(threshold.default, int)


def _explain(name: str) -> str:
  known = ir_measures.measures.registry
  stem = _stem(name)
  if stem in known:
    return (
      f"measure {name!r}: {stem} takes"
      f" {', '.join(known[stem].SUPPORTED_PARAMS) or 'no parameters'};"
      " write it like 'R@10' or 'R(rel=2)@10'"
    )
  # Case is what most misspelt names have wrong.
  meant = {other.casefold(): other for other in known}
  stem = meant.get(stem.casefold(), stem)
  return f"unknown measure {name!r}.{suggest(stem, known)}"


def _stem(name: str) -> str:
  """Return the leading identifier: "R(rel=2)@10" is "R"."""
  return name.partition("@")[0].partition("(")[0].strip()


def _rank_scores(query_id: str, hits: Sequence[Hit]) -> dict[str, float]:
  """Replace scores by strictly decreasing whole numbers, exact in float32."""
  ranked = {hit.docno: float(-rank) for rank, hit in enumerate(hits)}
  if len(ranked) < len(hits):
    docnos = [hit.docno for hit in hits]
    twice = next(d for i, d in enumerate(docnos) if d in docnos[:i])
    raise UserError(f"query {query_id!r}: document {twice!r} is ranked twice")
  for better, worse in zip(hits, hits[1:], strict=False):
    if not better.score >= worse.score:
      raise UserError(
        f"query {query_id!r}: hits must come best first, but"
        f" {worse.docno!r} ({worse.score}) follows"
        f" {better.docno!r} ({better.score})"
      )
  return ranked


def _per_query(
  parsed: Mapping[str, ir_measures.Measure],
  qrels: Qrels,
  ranked: Mapping[str, Mapping[str, float]],
) -> dict[str, dict[str, float]]:
  """Return measure name -> query id -> value; zero where nothing was found."""
  values = {
    measure: dict.fromkeys(qrels, measure.DEFAULT)
    for measure in parsed.values()
  }
  plain = {query_id: dict(grades) for query_id, grades in qrels.items()}
  evaluator = ir_measures.evaluator(list(values), plain)
  for metric in evaluator.iter_calc(dict(ranked)):
    values[metric.measure][metric.query_id] = metric.value
  return {name: values[measure] for name, measure in parsed.items()}


def _aggregate(
  measure: ir_measures.Measure, values: Mapping[str, float]
) -> float:
  aggregator = measure.aggregator()
  for value in values.values():
    aggregator.add(value)
  return float(aggregator.result())
