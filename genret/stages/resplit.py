"""The resplit stage: a collection's documents under other judgements.

Two ways. `coverage` says which share of test positives has a training query.
`folds` parts queries into clusters, of which one is asked and trained on or
not: see `evaluation.folds`. What is made is a part of the collection, as a
rung is, that has all of its documents and copies none.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from genret.core import artifacts, collection, rungs
from genret.core.collection import Collection, Qrels
from genret.core.errors import ConfigError, UserError
from genret.core.text import text_key
from genret.embeddings.encoder import Encoder, minilm
from genret.evaluation import coverage, folds, splits
from genret.evaluation.folds import By
from genret.stages import ladder, own_words, prepare, query_clusters
from genret.stages.described import described

FOLDS = "folds.tsv"
TRAIN, TEST = "train", "test"
Splits = dict[str, Mapping[str, Mapping[str, int]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResplitConfig:
  """How queries are split anew.

  Attributes:
    test_queries: how many test queries are asked, drawn by hash; None for
      all. With `coverage`, the others become training queries.
    coverage: the share of test positives that has a training query; dev comes
      as near to it as that leaves it.
    cover_with: the queries that cover: "queries" takes the collection's own;
      "titles" and "sentences" give documents that are asked for and have no
      other query one of their own words.
    train_queries: how many training queries stay; None for all.
    folds: how many clusters the queries lie in.
    fold: which of them is asked, from 1.
    by: "cluster" trains on the other clusters, "random" on as many queries of
      all.
    encoder: loads what makes vectors of queries, for clusters.
    relevance: the least grade that counts as relevant.
    seed: of all that is drawn.
  """

  test_queries: int | None = None
  coverage: float | None = None
  cover_with: Literal["queries", "titles", "sentences"] = "queries"
  train_queries: int | None = None
  folds: int | None = None
  fold: int = 1
  by: By = "cluster"
  encoder: Callable[..., Encoder] = minilm
  relevance: int = 1
  seed: int = 0

  def __post_init__(self):
    if self.coverage is not None and self.folds is not None:
      raise ConfigError(
        f"coverage is {self.coverage} and folds {self.folds}; queries are split"
        " by one of them."
      )
    if self.coverage is not None and not 0 <= self.coverage <= 1:
      raise ConfigError(f"coverage is {self.coverage}; expected 0 to 1.")
    if self.folds is not None and not 1 <= self.fold <= self.folds:
      raise ConfigError(
        f"fold is {self.fold} of {self.folds}; folds count from 1."
      )
    if self.folds == 1:
      raise ConfigError("folds is 1; expected 2 or more.")
    if self.folds is not None and self.train_queries is not None:
      raise ConfigError(
        "train_queries goes with coverage; folds train on equally many."
      )
    for name in ("test_queries", "train_queries"):
      if (size := getattr(self, name)) is not None and size < 1:
        raise ConfigError(f"{name} is {size}; expected 1 or more, or None.")
    if self.seed < 0:
      raise ConfigError(f"seed is {self.seed}; expected 0 or more.")

  @property
  def label(self) -> str:
    """Of the collection to be, behind the name of the one that was."""
    if self.folds is None:
      return f"coverage-{self.coverage:g}"
    return f"{self.by}-{self.fold}-of-{self.folds}"

  def arguments(self) -> dict[str, Any]:
    """Returns what judgements depend on, for the manifest."""
    found: dict[str, Any] = {
      "test_queries": self.test_queries,
      "relevance": self.relevance,
    }
    if self.folds is None:
      names = ("coverage", "cover_with", "train_queries")
      return found | {name: getattr(self, name) for name in names}
    found |= {name: getattr(self, name) for name in ("folds", "fold", "by")}
    return found | {"encoder": described(self.encoder)}


def run(
  config: ResplitConfig,
  collection: Collection,
  out: Path,
  *,
  gin_text: str = "",
) -> Collection:
  """Makes the collection of other judgements, or opens it.

  Prints its counts; those of before stand in its summary as `collection`.

  Args:
    config: how queries are split.
    collection: whose.
    out: the artifact's folder.
    gin_text: the configuration, for the provenance.

  Raises:
    ConfigError: the queries cannot be split so.
    ArtifactError: `out` holds something else.
    UserError: the collection has no test or no training queries.
  """
  if config.coverage is None and config.folds is None:
    raise ConfigError(
      "Say how queries are split: --coverage=0.5, the share of test positives"
      " with a training query, or --folds=5."
    )
  for split in (TRAIN, TEST):
    if split not in collection.splits:
      raise UserError(
        f"Collection {collection.name!r} has no split {split!r}; queries are"
        " moved between train and test."
      )
  recipe = artifacts.Recipe(
    stage=rungs.STAGE,
    arguments={
      "name": f"{collection.name}-{config.label}",
      **config.arguments(),
    },
    seed=config.seed,
    inputs={rungs.INPUT: collection.identity},
    format_version=rungs.FORMAT_VERSION,
  )
  work = _Work(config, collection)
  made = ladder.part(
    Path(out), recipe, collection, write=work.write, text=gin_text
  )
  print(prepare.report(made))
  return made


class _Work:
  """What goes into the folder."""

  def __init__(self, config: ResplitConfig, source: Collection):
    self._config = config
    self._source = source
    self._queries = {query.query_id: query for query in source.queries()}
    self._changes: dict[str, int] = {}

  def write(self, folder: Path) -> None:
    """Fills a folder with rows, docnos, queries, judgements and counts."""
    before = self._read()
    final = self._split(dict(before), folder)
    source = self._source
    np.save(
      folder / rungs.ROWS, np.arange(source.num_documents, dtype=np.int32)
    )
    (folder / collection.DOCNOS).mkdir()
    source.docnos.save(folder / collection.DOCNOS)
    for split, qrels in final.items():
      collection.write_qrels(folder, split, qrels)
    texts = {name: text_key(q.text) for name, q in self._queries.items()}
    splits.check_disjoint(final, texts)
    judged = set().union(*final.values())
    asked = (q for name, q in self._queries.items() if name in judged)
    count = collection.write_queries(folder, asked)
    artifacts.write_json(
      folder / collection.SUMMARY,
      {
        "documents": source.num_documents,
        "queries": count,
        "unjudged": 0,
        "splits": {s: prepare.counts(qrels) for s, qrels in final.items()},
        "coverage": self._coverage(final),
        "changes": self._changes,
        "skipped": {},
        "checksum": source.docnos.checksum,
        "collection": {
          "name": source.name,
          "splits": {s: prepare.counts(qrels) for s, qrels in before.items()},
          "coverage": self._coverage(before),
        },
      },
    )

  def _coverage(self, found: Splits) -> float | None:
    return splits.coverage(
      found[TRAIN], found[TEST], relevance=self._config.relevance
    )

  def _read(self) -> Splits:
    return {split: self._source.qrels(split) for split in self._source.splits}

  def _split(self, found: Splits, folder: Path) -> Splits:
    """Returns all judgements as they are to be."""
    config = self._config
    rest = self._draw(found)
    if config.folds is not None:
      self._changes["test queries that are not drawn"] = len(rest)
      return self._fold(found, folder)
    found[TRAIN] = {**found[TRAIN], **rest}
    self._changes["test queries that became training queries"] = len(rest)
    second = self._second(found)
    asked = [found[s] for s in found if s not in (TRAIN, TEST)]
    covering = coverage.cover(
      {**found[TRAIN], **second},
      [found[TEST], *asked],
      share=config.coverage,
      seed=config.seed,
      relevance=config.relevance,
    )
    kept = coverage.limited(covering, config.train_queries, seed=config.seed)
    before = len(found[TRAIN])
    found[TRAIN] = kept
    if second:
      made = f"training queries of a document's {config.cover_with}"
      self._changes[made] = sum(query in second for query in kept)
    self._changes["training queries left out"] = before - sum(
      query not in second for query in kept
    )
    return found

  def _draw(self, found: Splits) -> Qrels:
    """Leaves the test queries that are asked; returns the others."""
    size, test = self._config.test_queries, found[TEST]
    if size is None:
      return {}
    if size > len(test):
      raise ConfigError(
        f"{size:,} test queries are wanted; {self._source.name} has"
        f" {len(test):,}."
      )
    drawn = set(coverage.by_hash(test, seed=self._config.seed)[:size])
    found[TEST] = {q: judged for q, judged in test.items() if q in drawn}
    asked = {text_key(self._queries[query].text) for query in drawn}
    rest = {q: judged for q, judged in test.items() if q not in drawn}
    free = {
      query: judged
      for query, judged in rest.items()
      if text_key(self._queries[query].text) not in asked
    }
    same = "test queries of the words of one that is drawn, left out"
    self._changes[same] = len(rest) - len(free)
    return free

  def _second(self, found: Splits) -> Qrels:
    """Makes training queries of words of the documents that are asked for."""
    words, relevance = self._config.cover_with, self._config.relevance
    if words == "queries":
      return {}
    have = _answers([found[TRAIN]], relevance)
    asked = [qrels for split, qrels in found.items() if split != TRAIN]
    docnos = _answers(asked, relevance) - have
    known = {text_key(query.text) for query in self._queries.values()}
    made: dict[str, dict[str, int]] = {}
    for docno, query in own_words.queries(self._source, docnos, words=words):
      if text_key(query.text) not in known:
        self._queries[query.query_id] = query
        made[query.query_id] = {docno: relevance}
    return made

  def _fold(self, found: Splits, folder: Path) -> Splits:
    """Returns the judgements of a fold, and writes whose cluster is whose."""
    config = self._config
    labels = query_clusters.fit(
      [self._queries[query] for query in found[TRAIN]],
      [
        self._queries[query]
        for split, qrels in found.items()
        if split != TRAIN
        for query in qrels
      ],
      encode=config.encoder(),
      count=config.folds,
      seed=config.seed,
    )
    lines = "".join(f"{query}\t{n + 1}\n" for query, n in labels.items())
    artifacts.write_text(folder / FOLDS, f"query-id\tfold\n{lines}")
    kept = folds.fold(
      found, labels, number=config.fold - 1, by=config.by, seed=config.seed
    )
    for split, qrels in found.items():
      left = len(qrels) - len(kept[split])
      self._changes[f"{split} queries left out"] = left
    return kept


def _answers(several: Iterable[Qrels], relevance: int) -> set[str]:
  """Returns the documents that some query of some splits asks for."""
  return {
    docno
    for qrels in several
    for judged in qrels.values()
    for docno, grade in judged.items()
    if grade >= relevance
  }
