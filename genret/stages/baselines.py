"""The baselines stage: a collection in, the runs of the plain searchers out."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from genret.core import artifacts, runs
from genret.core.collection import Collection, Positive
from genret.core.errors import UserError
from genret.core.provenance import canonical
from genret.embeddings.store import EmbeddingStore
from genret.evaluation import measures
from genret.evaluation.selection import refuse_test, select
from genret.querygen import grouped
from genret.querygen.grouped import GroupedQueries
from genret.retrieval import bm25
from genret.retrieval.bag_of_subwords import (
  BagOfSubwords,
  BagOfSubwordsConfig,
)
from genret.retrieval.bm25 import BM25, Bm25Config
from genret.retrieval.dense import Dense
from genret.retrieval.searcher import Searcher
from genret.stages import embed
from genret.stages.described import described
from genret.stages.embed import EmbedConfig

STAGE = "baselines"
RUN = "run.trec"
SETTINGS = "settings.json"
VECTORS = "vectors"  # of the documents, for row `dense`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bm25Grid:
  """The settings of BM25 that dev chooses from: every pair of these.

  Attributes:
    k1: Values of k1.
    b: Values of b.
  """

  k1: tuple[float, ...] = (0.5, 0.9, 1.2, 1.6, 2.0)
  b: tuple[float, ...] = (0.2, 0.4, 0.6, 0.75, 0.9)

  def settings(self, config: Bm25Config) -> list[Bm25Config]:
    """Return the config itself, then with each other pair of k1 and b."""
    pairs = itertools.product(self.k1, self.b)
    grid = [dataclasses.replace(config, k1=k1, b=b) for k1, b in pairs]
    return [config, *(other for other in grid if other != config)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaselinesConfig:
  """Which baselines are run on which queries.

  Attributes:
    split: Whose queries are searched.
    k: Documents a query.
    bm25: Settings of row `bm25`, which the other BM25 rows start from.
    bm25_grid: Settings that dev chooses from for row `bm25_tuned`; None: no
      such row.
    bm25_expanded: Whether there is a row `bm25_expanded`: training queries are
      appended to the documents that answer them.
    synthetic_queries: Queries for row `bm25_synthetic`, where they are appended
      to the documents that they were made for (docT5query): an artifact or a
      file of them; None: no such row.
    bag_of_subwords: Settings of row `bag_of_subwords`; None: no such row.
    dense: Row `dense`, exact search by the cosine of vectors: where the
      documents' come from, and the encoder of the queries, which must be that
      of the documents; None: no such row.
    train_split: Whose queries are trained on.
    dev_split: Whose queries settings are chosen on; never `test`.
    dev_measure: What they are chosen by; higher is better.
    relevance: The lowest grade that counts as relevant; synthetic queries made
      for a lower one are not appended.
  """

  split: str = "test"
  k: int = 100
  bm25: Bm25Config = Bm25Config()
  bm25_grid: Bm25Grid | None = Bm25Grid()
  bm25_expanded: bool = True
  synthetic_queries: str | Path | None = None
  bag_of_subwords: BagOfSubwordsConfig | None = BagOfSubwordsConfig()
  dense: EmbedConfig | None = None
  train_split: str = "train"
  dev_split: str = "dev"
  dev_measure: str = "RR@10"
  relevance: int = 1

  def __post_init__(self):
    refuse_test(self.dev_split)
    measures.parse_measure(self.dev_measure, relevance=self.relevance)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted:
  """A searcher ready to search, and how it came to be.

  Attributes:
    searcher: The searcher.
    settings: What settings.json says: its settings, and what dev chose.
  """

  searcher: Searcher
  settings: Mapping[str, Any]


Fit = Callable[[BaselinesConfig, Collection], Fitted]


def run(
  config: BaselinesConfig,
  collection: Collection,
  out: Path,
  *,
  gin_text: str = "",
) -> dict[str, Path]:
  """Fit each baseline, search with it, and write its run.

  Each row is an artifact of its own, `<out>/<row>`, with the run file and
  settings.json; one that stands already is not made again. Vectors of the
  documents, for row `dense`, are an artifact beside them.

  Args:
    config: Which rows there are, and their settings.
    collection: What is searched.
    out: Folder of the rows.
    gin_text: The configuration, for the provenance.

  Returns:
    Row to run file, BM25 first.

  Raises:
    ArtifactError: `out` holds runs made with other settings.
    DataError: Synthetic queries are broken, or of other documents.
    UserError: The collection has no such split, or no training queries where
      a row needs them.
  """
  vectors = None
  if config.dense is not None:
    vectors = embed.run(
      config.dense, collection, Path(out) / VECTORS, gin_text=gin_text
    )
  paths = {}
  for row, fit in _rows(config, vectors).items():
    folder = Path(out) / row
    recipe = _recipe(row, config, collection, vectors=vectors)
    if artifacts.existing(folder, recipe) is None:
      fitted = fit(config, collection)
      queries = list(collection.queries(config.split))
      found = fitted.searcher.search(queries, k=config.k)
      with artifacts.building(folder, recipe, gin_text=gin_text) as draft:
        runs.write_trec(draft / RUN, found, tag=row)
        artifacts.write_json(draft / SETTINGS, fitted.settings)
    paths[row] = folder / RUN
  return paths


def _rows(
  config: BaselinesConfig, vectors: EmbeddingStore | None
) -> dict[str, Fit]:
  rows: dict[str, Fit] = {"bm25": _fit_bm25}
  if config.bm25_grid is not None:
    rows["bm25_tuned"] = _fit_tuned
  if config.bm25_expanded:
    rows["bm25_expanded"] = _fit_expanded
  if config.synthetic_queries is not None:
    rows["bm25_synthetic"] = _fit_synthetic
  if config.bag_of_subwords is not None:
    rows["bag_of_subwords"] = _fit_bag
  if vectors is not None:
    rows["dense"] = partial(_fit_dense, vectors)
  return rows


def _recipe(
  row: str,
  config: BaselinesConfig,
  collection: Collection,
  *,
  vectors: EmbeddingStore | None,
) -> artifacts.Recipe:
  """Say what a row depends on, and leave out what it does not."""
  asked = {"row": row, "split": config.split, "k": config.k}
  inputs = {"collection": collection.identity}
  if row == "dense":
    return artifacts.Recipe(
      stage=STAGE,
      arguments={**asked, "encoder": described(config.dense.encoder)},
      seed=_DENSE_SEED,
      inputs={**inputs, "vectors": vectors.identity},
    )
  if row == "bm25_synthetic":
    inputs["queries"] = grouped.identity(Path(config.synthetic_queries))
    if config.relevance != 1:  # else as before grades were read
      asked["relevance"] = config.relevance
  names = {
    "bm25": ("bm25",),
    "bm25_tuned": ("bm25", "bm25_grid", *_DEV),
    "bm25_expanded": ("bm25", "train_split", "relevance"),
    "bm25_synthetic": ("bm25",),
    "bag_of_subwords": ("bag_of_subwords", "train_split", *_DEV),
  }[row]
  return artifacts.Recipe(
    stage=STAGE,
    arguments={**asked, **{n: getattr(config, n) for n in names}},
    seed=getattr(config, names[0]).seed,
    inputs=inputs,
  )


_DEV = ("dev_split", "dev_measure", "relevance")
_DENSE_SEED = 0  # of the order among documents of equal score


def _fit_bm25(config: BaselinesConfig, collection: Collection) -> Fitted:
  searcher = BM25(config.bm25).fit(collection.documents())
  return Fitted(searcher=searcher, settings={"settings": _dict(config.bm25)})


def _fit_expanded(config: BaselinesConfig, collection: Collection) -> Fitted:
  positives = _training_queries(config, collection)
  if not positives:
    raise UserError(
      f"collection {collection.name!r} has no training queries to append to"
      f" its documents (split {config.train_split!r}): set"
      " BaselinesConfig.bm25_expanded to False"
    )
  appended = ((p.docno, p.query.text) for p in positives)
  return _expanded(config, collection, appended)


def _fit_synthetic(config: BaselinesConfig, collection: Collection) -> Fitted:
  queries = GroupedQueries.open(
    Path(config.synthetic_queries), collection, relevance=config.relevance
  )
  appended = ((query.docno, query.text) for query in queries)
  fitted = _expanded(config, collection, appended)
  if not queries.low_grade:
    return fitted
  left_out = {"queries_of_lower_grades": queries.low_grade}
  return dataclasses.replace(fitted, settings={**fitted.settings, **left_out})


def _expanded(
  config: BaselinesConfig,
  collection: Collection,
  appended: Iterable[tuple[str, str]],
) -> Fitted:
  """Index documents with queries appended, pairs of docno and text."""
  expansions: dict[str, list[str]] = {}
  for docno, text in appended:
    expansions.setdefault(docno, []).append(text)
  searcher = BM25(config.bm25).fit(
    collection.documents(), expansions=expansions
  )
  return Fitted(
    searcher=searcher,
    settings={
      "settings": _dict(config.bm25),
      "appended_queries": sum(map(len, expansions.values())),
    },
  )


def _fit_tuned(config: BaselinesConfig, collection: Collection) -> Fitted:
  documents = list(collection.documents())
  docnos = [document.docno for document in documents]
  terms = bm25.analyse([d.contents for d in documents], config.bm25)
  evaluate = _on_dev(config, collection)
  settings = config.bm25_grid.settings(config.bm25)
  with tqdm(total=len(settings), desc="tune BM25", unit="setting") as bar:

    def value(setting: Bm25Config) -> float:
      bar.update()
      return evaluate(BM25(setting).fit_terms(terms, docnos=docnos))

    choice = select(settings, value, split=config.dev_split)
  return Fitted(
    searcher=BM25(choice.best).fit_terms(terms, docnos=docnos),
    settings={
      "settings": _dict(choice.best),
      "chosen_on": {config.dev_split: {config.dev_measure: choice.value}},
      "tried": [
        {"k1": setting.k1, "b": setting.b, config.dev_measure: found}
        for setting, found in zip(settings, choice.values, strict=True)
      ],
    },
  )


def _fit_bag(config: BaselinesConfig, collection: Collection) -> Fitted:
  searcher = BagOfSubwords(config.bag_of_subwords)
  has_dev = config.dev_split in collection.splits
  searcher.fit(
    list(collection.documents()),
    _training_queries(config, collection),
    evaluate=_on_dev(config, collection) if has_dev else None,
    progress=True,
  )
  return Fitted(
    searcher=searcher,
    settings={
      "settings": _dict(config.bag_of_subwords),
      "chosen_step": searcher.chosen_step,
      "looks_at_dev": [_dict(look) for look in searcher.looks],
    },
  )


def _fit_dense(
  vectors: EmbeddingStore, config: BaselinesConfig, collection: Collection
) -> Fitted:
  del collection  # the vectors are of its documents: `embed.run` has looked
  searcher = Dense(config.dense.encoder(), seed=_DENSE_SEED).fit(vectors)
  settings = {
    "encoder": described(config.dense.encoder),
    "vectors": vectors.identity,
  }
  return Fitted(searcher=searcher, settings=canonical(settings))


def _training_queries(
  config: BaselinesConfig, collection: Collection
) -> Sequence[Positive]:
  if config.train_split not in collection.splits:
    return []
  return list(
    collection.positives(config.train_split, relevance=config.relevance)
  )


def _on_dev(
  config: BaselinesConfig, collection: Collection
) -> Callable[[Searcher], float]:
  """Return a function that says how good a searcher is on dev."""
  qrels = collection.qrels(config.dev_split)
  queries = list(collection.asked(qrels))
  measure = measures.parse_measure(config.dev_measure)
  depth = measure.params.get("cutoff", config.k)

  def value(searcher: Searcher) -> float:
    result = measures.evaluate(
      searcher.search(queries, k=depth),
      qrels,
      measures=[config.dev_measure],
      relevance=config.relevance,
    )
    return result.means[config.dev_measure]

  return value


def _dict(value: Any) -> dict[str, Any]:
  return dataclasses.asdict(value)
