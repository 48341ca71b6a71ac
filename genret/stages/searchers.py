"""Searchers by name: BM25, dense, or a model folder, opened when needed."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError, suggest
from genret.embeddings.encoder import Encoder, minilm
from genret.embeddings.store import EmbeddingStore
from genret.querygen.filter import Search
from genret.retrieval import dual_spec, model_folder
from genret.retrieval.bm25 import BM25, Bm25Config
from genret.retrieval.dense import Dense
from genret.retrieval.dual_spec import DualSpec
from genret.stages import embed, retrieve
from genret.stages.described import described
from genret.stages.embed import EmbedConfig
from genret.stages.retrieve import RetrieveConfig

BM25_NAME, DENSE_NAME = NAMES = ("bm25", "dense")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearcherConfig:
  """What searches.

  Attributes:
    by: "bm25", "dense" (the cosine of sentence vectors), or a folder of
      `genret train` or `genret dual_encoder`; a folder that bears one of
      these names is `./bm25`.
    bm25: settings of BM25.
    encoder: of dense search; that of the documents' vectors.
    checkpoint: of a model: `best`, `newest`, or a step.
    num_beams: of a model: docids kept a step, where not more documents are
      asked for. A search for one document with one beam would be greedy, and
      miss documents that the model ranks first.
    scoring: of a model: `raw` or `renormalised`; None for its own way.
    seed: of the order among documents of equal score, where vectors are
      compared.
  """

  by: str = BM25_NAME
  bm25: Bm25Config = Bm25Config()
  encoder: Callable[..., Encoder] = minilm
  checkpoint: str | int = "best"
  num_beams: int = 10
  scoring: Literal["raw", "renormalised"] | None = None
  seed: int = 0

  def __post_init__(self):
    if self.num_beams < 1:
      raise ConfigError(f"num_beams is {self.num_beams}; expected 1 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opening:
  """A searcher that is known to fit, and is not loaded yet.

  Attributes:
    load: loads it, given a folder for what must be made first.
    arguments: what a manifest says of it.
    inputs: name of each artifact it is made of -> identity.
  """

  load: Callable[[Path], Search]
  arguments: Mapping[str, Any]
  inputs: Mapping[str, str]


def opening(
  config: SearcherConfig,
  collection: Collection,
  *,
  embeddings: EmbeddingStore | None = None,
) -> Opening:
  """Checks that a searcher fits a collection, and says how it is loaded.

  Args:
    config: what searches.
    collection: what is searched.
    embeddings: of its documents, for dense search, which else makes them.

  Returns:
    The opening.

  Raises:
    ArtifactError: the folder is no trained model.
    ConfigError: `by` is no name and no folder.
    UserError: the model or the embeddings are of another collection.
  """
  if config.by == BM25_NAME:
    return _bm25(config, collection)
  if config.by == DENSE_NAME:
    return _dense(config, collection, embeddings)
  return _model(config, collection)


def _bm25(config: SearcherConfig, collection: Collection) -> Opening:
  def load(working: Path) -> Search:
    del working
    searcher = BM25(config.bm25).fit(collection.documents())
    return lambda queries, k: searcher.search(queries, k=k)

  arguments = {"by": config.by, "bm25": dataclasses.asdict(config.bm25)}
  return Opening(load=load, arguments=arguments, inputs={})


def _dense(
  config: SearcherConfig,
  collection: Collection,
  embeddings: EmbeddingStore | None,
) -> Opening:
  inputs = {}
  if embeddings is not None:
    embeddings.aligned(collection.docnos)
    inputs["embeddings"] = embeddings.identity

  def load(working: Path) -> Search:
    store = embeddings
    if store is None:
      made = EmbedConfig(encoder=config.encoder)
      store = embed.run(made, collection, working / "vectors")
    searcher = Dense(config.encoder(), seed=config.seed).fit(store)
    return lambda queries, k: searcher.search(queries, k=k)

  arguments = {
    "by": config.by,
    "encoder": described(config.encoder),
    "tie_seed": config.seed,
  }
  return Opening(load=load, arguments=arguments, inputs=inputs)


def _model(config: SearcherConfig, collection: Collection) -> Opening:
  folder = Path(config.by).expanduser()
  if not folder.is_dir():
    raise ConfigError(
      "Queries are searched by 'bm25', by 'dense' or by the folder of a"
      f" trained model; there is no folder {config.by!r}."
      + suggest(config.by, NAMES)
    )
  settings = RetrieveConfig(
    checkpoint=config.checkpoint, scoring=config.scoring
  )
  if dual_spec.is_dual(folder):
    retrieve.check_dual(settings, folder)
    DualSpec.load(folder).check_documents(folder, collection)
  else:
    model_folder.ModelSpec.load(folder)
    table = DocidTable.load(folder / model_folder.DOCIDS)
    retrieve.check_documents(table, folder, collection)

  def load(working: Path) -> Search:
    del working
    retriever = retrieve.opened(settings, folder, collection)
    return lambda queries, k: retriever.run(
      queries, k=k, num_beams=max(k, config.num_beams)
    )

  arguments = {
    "by": "model",
    "checkpoint": config.checkpoint,
    "num_beams": config.num_beams,
    "scoring": config.scoring,
  }
  identity = artifacts.identity(folder)
  return Opening(load=load, arguments=arguments, inputs={"model": identity})
