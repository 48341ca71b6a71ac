"""The diagnosis stage: why a model's answers are wrong.

The same queries are searched along the trie, without it, and exhaustively. A
document that the exhaustive search ranks first and the beam search does not is
an error of the search; an answer that both rank low is one of the model. What
is written without the trie and is no docid, the constraint was needed for.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from genret.core import artifacts
from genret.core.collection import Collection, Qrels, Query
from genret.core.errors import ConfigError, UserError
from genret.core.runs import Run
from genret.evaluation.measures import evaluate
from genret.evaluation.prefixes import prefix_recall
from genret.retrieval import dual_spec
from genret.retrieval.exhaustive import ExhaustiveSearch
from genret.retrieval.generative import Retriever
from genret.retrieval.unconstrained import FreeSearch
from genret.stages import retrieve
from genret.stages.diagnosis import Diagnosis
from genret.stages.latency import evenly

FORMAT_VERSION = 1
FILE = "diagnostics.json"
_TIE = 1e-4  # nats: two searches add the same numbers in another order
_CHUNK = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiagnoseConfig:
  """Which queries are searched, and how.

  Attributes:
    split: Whose queries.
    queries: How many, evenly spread; all where there are fewer.
    exhaustive_queries: How many of them are searched exhaustively, which
      reads every docid for each of them; 0 for none.
    k: Documents a query.
    num_beams: Docids kept a step; None for `k`.
    checkpoint: `best`, `newest`, or a step.
    measures: What the rankings are judged by.
    relevance: The lowest grade that counts as relevant.
  """

  split: str = "test"
  queries: int = 1000
  exhaustive_queries: int = 64
  k: int = 10
  num_beams: int | None = None
  checkpoint: str | int = "best"
  measures: tuple[str, ...] = ("RR@10", "R@1", "R@10")
  relevance: int = 1

  def __post_init__(self):
    counts = (self.queries, self.k, self.num_beams or 1)
    if min(counts) < 1 or self.exhaustive_queries < 0:
      raise ConfigError(
        f"{self.queries} queries, {self.exhaustive_queries} of them searched"
        f" exhaustively, {self.k} documents, {self.num_beams} beams; expected 1"
        " or more, and 0 or more that are searched exhaustively."
      )

  @property
  def beams(self) -> int:
    """Docids kept a step."""
    return self.num_beams or self.k


def run(
  config: DiagnoseConfig,
  model_dir: Path,
  collection: Collection,
  *,
  out: Path | None = None,
) -> Diagnosis:
  """Searches the same queries in three ways.

  All of them score raw, whatever the model's own way: an exhaustive search
  has no other.

  Args:
    config: The settings.
    model_dir: A finished model folder.
    collection: Whose queries are searched; the model's own.
    out: A JSON file; None for `diagnostics.json` in the model folder.

  Returns:
    What was found; `table()` is for people.

  Raises:
    ArtifactError: If the folder is no whole model folder.
    UserError: If the documents are not the model's, no query is judged, or
      the model writes no docids.
  """
  if dual_spec.is_dual(model_dir):
    raise UserError(
      f"The model in {model_dir} compares the vectors of all documents: it"
      " writes no docids, and its search drops nothing. genret costs reads it."
    )
  retriever = Retriever.load(
    model_dir, checkpoint=config.checkpoint, scoring="raw"
  )
  retrieve.check_documents(retriever.table, model_dir, collection)
  queries, qrels = _judged(config, collection)
  asked = _Asked(
    config=config, retriever=retriever, queries=queries, qrels=qrels
  )
  found = Diagnosis(
    {
      "format": FORMAT_VERSION,
      "model": artifacts.identity(model_dir),
      "split": config.split,
      "search": {"k": config.k, "num_beams": config.beams},
      "num_queries": len(queries),
      **asked.constrained(),
      **asked.free(),
      **(asked.exhaustive() if config.exhaustive_queries else {}),
    }
  )
  artifacts.write_json(out or Path(model_dir) / FILE, found.figures)
  return found


def _judged(
  config: DiagnoseConfig, collection: Collection
) -> tuple[list[Query], Qrels]:
  """Takes queries that have an answer, and their judgements."""
  qrels = {
    query: grades
    for query, grades in collection.qrels(config.split).items()
    if max(grades.values(), default=0) >= config.relevance
  }
  asked = list(collection.asked(qrels))
  if not asked:
    raise UserError(
      f"No query of {config.split!r} in {collection.name} has a relevant"
      " document: nothing can be told apart."
    )
  chosen = evenly(asked, config.queries)
  return chosen, {query.query_id: qrels[query.query_id] for query in chosen}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Asked:
  """A model, and what it is asked."""

  config: DiagnoseConfig
  retriever: Retriever
  queries: Sequence[Query]
  qrels: Qrels

  def constrained(self) -> dict[str, Any]:
    """Searches along the trie: measures, and recall by docid prefix."""
    k, relevance = self.config.k, self.config.relevance
    found = self._found(self.retriever, "along the trie")
    table = self.retriever.table
    recalls = prefix_recall(found, self.qrels, table, k=k, relevance=relevance)
    return {
      "constrained": self._means(found),
      "prefix_recall": [
        {"length": length, f"R@{k}": value}
        for length, value in enumerate(recalls, 1)
      ],
    }

  def free(self) -> dict[str, Any]:
    """Searches without the trie: what is no docid, and what the rest is."""
    free = self.retriever.with_search(FreeSearch(self.retriever.trie))
    texts = [query.text for query in self.queries]
    wrong, written, firsts, found = 0, 0, [], {}
    with tqdm(total=len(texts), desc="without the trie", delay=2) as bar:
      for numbers, beams in free.beams(texts, num_beams=self.config.beams):
        for place, number in enumerate(numbers):
          there = beams.scores[place] > -np.inf
          written += int(there.sum())
          wrong += int((there & ~beams.valid[place]).sum())
          firsts.append(not beams.valid[place][beams.scores[place].argmax()])
          hits = free.hits(beams, place, k=self.config.k)
          found[self.queries[number].query_id] = hits
        bar.update(len(numbers))
    return {
      "invalid_beams": wrong / written,
      "invalid_first": float(np.mean(firsts)),
      "without_docid": float(np.mean([not hits for hits in found.values()])),
      "unconstrained": self._means(found),
    }

  def exhaustive(self) -> dict[str, Any]:
    """Scores every docid, and tells errors of search and model apart.

    A search for docids of one symbol scores all of them anyway.
    """
    some = evenly(self.queries, self.config.exhaustive_queries)
    judged = {query.query_id: self.qrels[query.query_id] for query in some}
    fewer = dataclasses.replace(self, queries=some, qrels=judged)
    every = beam = fewer._found(self.retriever, "along the trie")
    if self.retriever.trie.length > 1:
      search = ExhaustiveSearch(self.retriever.trie)
      other = self.retriever.with_search(search)
      every = fewer._found(other, "exhaustively")
    return {
      "num_exhaustive": len(some),
      "beam": fewer._means(beam),
      "exhaustive": fewer._means(every),
      **errors(beam, every, judged, relevance=self.config.relevance),
    }

  def _found(self, retriever: Retriever, label: str) -> Run:
    config, found = self.config, {}
    total = len(self.queries)
    with tqdm(total=total, desc=label, unit="query", delay=2) as bar:
      for start in range(0, total, _CHUNK):
        chunk = self.queries[start : start + _CHUNK]
        found |= retriever.run(chunk, k=config.k, num_beams=config.beams)
        bar.update(len(chunk))
    return found

  def _means(self, found: Run) -> Mapping[str, float]:
    config = self.config
    return evaluate(
      found,
      self.qrels,
      measures=config.measures,
      relevance=config.relevance,
    ).means


def errors(
  beam: Run, every: Run, qrels: Qrels, *, relevance: int = 1
) -> dict[str, float]:
  """Tells errors of the search and of the model apart.

  >>> from genret.core.runs import Hit
  >>> a, b = Hit(docno="a", score=-1.0), Hit(docno="b", score=-2.0)
  >>> qrels = {"q1": {"a": 1}, "q2": {"b": 1}}
  >>> errors({"q1": [b], "q2": [a]}, {"q1": [a, b], "q2": [a, b]}, qrels)
  {'search_errors': 0.5, 'model_errors': 0.5, 'answers_lost': 1.0}

  Args:
    beam: What a beam search found.
    every: What the exhaustive search of the same queries did, as deep.
    qrels: Their judgements.
    relevance: The lowest grade that counts as relevant.

  Returns:
    Shares of the queries. `search_errors`: the beam search's first document
    scores below the best. `model_errors`: the best is no answer, so that no
    search would have been right. `answers_lost`: an answer is among those of
    the exhaustive search and not of the beam search.
  """
  astray, wrong, lost = [], [], []
  for query, grades in qrels.items():
    best, ours = every[query], beam.get(query, [])
    answers = {d for d, grade in grades.items() if grade >= relevance}
    astray.append(not ours or ours[0].score < best[0].score - _TIE)
    wrong.append(best[0].docno not in answers)
    seen = answers & {hit.docno for hit in best}
    lost.append(bool(seen - {hit.docno for hit in ours}))
  return {
    "search_errors": float(np.mean(astray)),
    "model_errors": float(np.mean(wrong)),
    "answers_lost": float(np.mean(lost)),
  }
