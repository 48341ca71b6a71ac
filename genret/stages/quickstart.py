"""The main job: a collection to trained retrievers, beside their baselines."""

import dataclasses
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import ConfigError
from genret.core.text import vocabulary
from genret.stages import (
  baselines,
  docids,
  embed,
  evaluate,
  prepare,
  retrieve,
  train,
)
from genret.stages.baselines import BaselinesConfig
from genret.stages.docids import DocidsConfig
from genret.stages.embed import EmbedConfig
from genret.stages.evaluate import EvaluateConfig, Report
from genret.stages.prepare import PrepareConfig
from genret.stages.retrieve import RetrieveConfig
from genret.stages.train import NO_TEXT, ConfigText, TrainConfig

METRICS = evaluate.METRICS
STATES = "states"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
  """One generative retriever of the table.

  Attributes:
    docids: What its docids are.
    train: How it is trained.
    docids_from_vectors: Whether its docids are made from document vectors.
    starts_from_vectors: Whether its head starts from document vectors.
  """

  docids: DocidsConfig
  train: TrainConfig
  docids_from_vectors: bool = False
  starts_from_vectors: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuickstartConfig:
  """The whole job.

  Attributes:
    prepare: Which collection.
    baselines: What stands beside the generative rows.
    embed: Where document vectors come from.
    rows: Name in the table -> generative retriever.
    retrieve: How they are searched.
    evaluate: What is measured.
  """

  prepare: PrepareConfig
  baselines: BaselinesConfig
  embed: EmbedConfig
  rows: Mapping[str, Row]
  retrieve: RetrieveConfig
  evaluate: EvaluateConfig

  def __post_init__(self):
    splits = {
      part.split for part in (self.baselines, self.retrieve, self.evaluate)
    }
    if len(splits) > 1:
      raise ConfigError(
        "Baselines, retrieval and evaluation are of one split; these are of"
        f" {', '.join(sorted(splits))}."
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
  """What a quickstart came to.

  Attributes:
    report: The figures.
    metrics: Their file.
    collection: What was searched, a folder.
    models: Name of each generative row -> its model folder.
    seconds: Wall time of this run; of what stood already, only searching and
      measuring are done again.
  """

  report: Report
  metrics: Path
  collection: Path
  models: Mapping[str, Path]
  seconds: float


def run(
  config: QuickstartConfig, workdir: Path, *, text: ConfigText = NO_TEXT
) -> Finished:
  """Runs every stage in turn; models that stand are not trained again.

  What a frozen encoder makes of the texts is computed once for all rows, and
  removed when they stand.

  Args:
    config: The job.
    workdir: Where everything goes: `collection/`, `baselines/`, `docids/`,
      `models/`, `evaluation/`, and a copy of `metrics.json` and `table.txt`.
    text: The gin text, kept beside each model.

  Returns:
    The figures and where they are.

  Raises:
    ConfigError: If weights that a row starts from are not installed, before
      anything is made.
  """
  started = time.monotonic()
  workdir = Path(workdir)
  total = 3 + len(config.rows)
  _check_weights(list(config.rows.values()))
  _headline(1, total, "the collection")
  collection = prepare.run(config.prepare, workdir / "collection")
  _headline(2, total, "baselines: what needs no generation")
  runs = baselines.run(config.baselines, collection, workdir / "baselines")
  models = {}
  for number, name in enumerate(config.rows, start=3):
    _headline(number, total, f"a generative retriever with {name} docids")
    models[name] = _train(config, collection, workdir, name=name, text=text)
    found = retrieve.run(config.retrieve, models[name], collection)
    runs[name] = found.path
  shutil.rmtree(workdir / STATES, ignore_errors=True)
  _headline(total, total, "evaluation")
  out = workdir / "evaluation"
  report = evaluate.run(config.evaluate, collection, runs, out=out)
  for file in (evaluate.METRICS, evaluate.TABLE):
    artifacts.write_text(workdir / file, (out / file).read_text("utf-8"))
  return Finished(
    report=report,
    metrics=workdir / METRICS,
    collection=collection.root,
    models=models,
    seconds=time.monotonic() - started,
  )


def _train(
  config: QuickstartConfig,
  collection: Collection,
  workdir: Path,
  *,
  name: str,
  text: ConfigText,
) -> Path:
  """Makes the docids of a row and trains its model; returns the folder."""
  row = config.rows[name]
  folder = workdir / "docids" / name
  vectors = None
  if row.docids_from_vectors or row.starts_from_vectors:
    vectors = embed.run(
      config.embed, collection, _vectors(config, collection, workdir)
    )
  docids.run(
    row.docids,
    collection,
    vectors if row.docids_from_vectors else None,
    out=folder,
  )
  return train.run(
    row.train,
    collection,
    folder,
    out=workdir / "models" / name,
    embeddings=vectors if row.starts_from_vectors else None,
    states=workdir / STATES if row.train.cache_states else None,
    text=text,
  )


def _vectors(
  config: QuickstartConfig, collection: Collection, workdir: Path
) -> Path:
  """Where document vectors are; those of the dense row serve, if they can."""
  wanted = embed.recipe(config.embed, collection)
  dense = config.baselines.dense
  if dense is not None and embed.recipe(dense, collection) == wanted:
    return workdir / "baselines" / baselines.VECTORS
  return workdir / "embeddings"


def _check_weights(rows: Sequence[Row]) -> None:
  for read in {row.train.encoder_weights for row in rows} - {None}:
    read()
  for name in {row.train.model.input_vocabulary for row in rows}:
    vocabulary(name)


def _headline(number: int, total: int, what: str) -> None:
  print(f"\n[{number}/{total}] {what}", flush=True)
