"""The training stage: a mixture and docids in, a model folder out."""

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import optax

from genret.core import artifacts, atomic
from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError, UserError
from genret.decoding.trie import Trie
from genret.embeddings.store import EmbeddingStore
from genret.evaluation import measures
from genret.evaluation.selection import refuse_test
from genret.models.t5 import T5, T5Config
from genret.retrieval import model_folder
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec
from genret.stages import first_params
from genret.tasks import feed, mixtures
from genret.training.checkpoints import Checkpoints
from genret.training.dense_start import DenseStart
from genret.training.loop import Loop, LoopConfig
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor, AdamW
from genret.training.partitioning import MeshShape
from genret.training.step import Program

STAGE = "train"
RESULT = "result.json"
CONFIG = "config.gin"
OPERATIVE_CONFIG = "operative_config.gin"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DevConfig:
  """How a state is judged while training goes on: by real retrieval.

  Attributes:
    split: Whose queries are searched; never `test`.
    measure: Chooses the best checkpoint; larger is better.
    num_queries: At most so many queries, evenly spread; None for all.
    num_beams: Docids kept a step.
  """

  split: str = "dev"
  measure: str = "RR@10"
  num_queries: int | None = None
  num_beams: int = 10

  def __post_init__(self):
    try:
      refuse_test(self.split)
    except UserError as error:
      raise ConfigError(
        f"DevConfig.split is {self.split!r}; a model is never selected on test"
        " queries."
      ) from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
  """Everything a run of training depends on.

  Attributes:
    model: The T5's shape; its docid vocabulary is taken from the docids.
    mixture: A seqio mixture or its name, or a function that builds one from
      the collection and the docid table.
    task_feature_lengths: Longest `inputs` and `targets` in a row of a batch;
      when packing, a row holds several examples.
    batch_size: Rows a step.
    pack: Whether short examples share a row.
    optimizer: Adafactor or AdamW and their settings.
    loss: Smoothing, z-loss, and how the head is computed.
    loop: Steps and intervals.
    dev: In-loop evaluation; None trains without it.
    input_length: Longest query in tokens when searching.
    scoring: How a search scores docids.
    mesh: How the work is split over devices.
    seed: Of parameters, dropout and the order of examples.
    dense_start: How atomic docids start from the embeddings, where these are
      given.
  """

  model: T5Config
  mixture: Any
  task_feature_lengths: Mapping[str, int]
  loop: LoopConfig
  batch_size: int = 128
  pack: bool = True
  optimizer: Adafactor | AdamW = Adafactor()
  loss: Loss = Loss()
  dev: DevConfig | None = DevConfig()
  input_length: int = 64
  scoring: Literal["raw", "renormalised"] = "raw"
  mesh: MeshShape = MeshShape()
  seed: int = 0
  dense_start: DenseStart = DenseStart()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConfigText:
  """The gin text of a run, kept beside it.

  Attributes:
    given: The files and flags as parsed.
    operative: The bindings that were used.
  """

  given: str = ""
  operative: str = ""


NO_TEXT = ConfigText()


def run(
  config: TrainConfig,
  collection: Collection,
  docids: Path,
  *,
  out: Path,
  embeddings: EmbeddingStore | None = None,
  text: ConfigText = NO_TEXT,
) -> Path:
  """Trains to the last step, going on from the newest whole checkpoint.

  Args:
    config: The run.
    collection: What is indexed, and whose dev queries judge the run.
    docids: Folder of the docids of that collection.
    out: The model folder, new or of this very run.
    embeddings: Of that collection, for atomic docids to start from.
    text: The gin text to keep beside the run.

  Returns:
    The model folder. A run that is already finished is left as it is.

  Raises:
    ArtifactError: If the folder belongs to another run; says what differs.
    DivergedError: If the loss stops being a number.
  """
  out = Path(out)
  table = DocidTable.load(docids)
  mixtures.check_same_documents(collection, table)
  prepare = first_params.preparation(table, embeddings, how=config.dense_start)
  mixture = config.mixture
  if callable(mixture):
    mixture = mixture(collection, table)
  inputs = {
    "collection": collection.identity,
    "docids": artifacts.identity(docids),
  }
  if embeddings is not None:
    inputs["embeddings"] = embeddings.identity
  recipe = _recipe(
    config, mixture=getattr(mixture, "name", mixture), inputs=inputs
  )
  dev = _dev(config, collection)
  optimizer = config.optimizer.build(config.loop.train_steps)
  started = time.time()
  if artifacts.begin(out, recipe) is not None:
    return out
  _describe(mixture)
  spec = _lay_out(config, table, out, docids=docids, text=text)
  checkpoints = Checkpoints(
    out / model_folder.CHECKPOINTS, measure=dev.measure if dev else None
  )
  loop = Loop(
    program=_program(config, spec, optimizer),
    feed=_batches(config, mixture),
    checkpoints=checkpoints,
    config=config.loop,
    evaluate=_evaluation(dev, collection, _untrained_retriever(spec, out)),
    folder=out,
    label=out.name,
    prepare=prepare,
  )
  loop.run()
  _write_result(out, checkpoints)
  artifacts.seal(
    out,
    recipe,
    files=_identifying_files(out),
    started=started,
    gin_text=text.operative,
  )
  return out


def _describe(mixture: Any) -> None:
  """Prints what is trained on."""
  if isinstance(mixture, str):
    print(f"training on {mixture}, read through seqio's own pipeline")
  else:
    print(mixtures.describe(mixture))


def _dev(config: TrainConfig, collection: Collection) -> DevConfig | None:
  """Returns how states are judged, once it is sure that they can be."""
  if config.dev and config.dev.split not in collection.splits:
    raise ConfigError(
      f"Collection {collection.name!r} has no split {config.dev.split!r} to"
      " choose the best checkpoint on: prepare it with a dev share, or set"
      " TrainConfig.dev to None to keep the newest."
    )
  return config.dev


def _batches(config: TrainConfig, mixture: Any) -> feed.Batches:
  return feed.training_batches(
    mixture,
    lengths=config.task_feature_lengths,
    batch_size=config.batch_size,
    pack=config.pack,
    seed=config.seed,
  )


def _recipe(
  config: TrainConfig, *, mixture: str, inputs: Mapping[str, str]
) -> artifacts.Recipe:
  """What sets this run apart from another, without paths and devices."""
  skipped = {"mixture", "mesh", "seed"}
  arguments = {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(config)
    if field.name not in skipped
  }
  return artifacts.Recipe(
    stage=STAGE,
    arguments={**arguments, "mixture": mixture},
    seed=config.seed,
    inputs=inputs,
  )


def _lay_out(
  config: TrainConfig,
  table: DocidTable,
  out: Path,
  *,
  docids: Path,
  text: ConfigText,
) -> ModelSpec:
  """Writes all of a model folder that is known before training."""
  own = not table.text_vocabulary
  model = dataclasses.replace(
    config.model,
    docid_vocab_size=table.vocab_size if own else None,
    docid_length=table.length,
  )
  spec = ModelSpec(
    model=model,
    num_symbols=table.vocab_size,
    scheme=table.scheme,
    docids=model_folder.codes_hash(docids),
    input_length=config.input_length,
    scoring=config.scoring,
    dev_measure=config.dev.measure if config.dev else None,
  )
  atomic.fill(
    out / model_folder.DOCIDS, lambda folder: shutil.copytree(docids, folder)
  )
  atomic.fill(
    out / model_folder.TRIE,
    lambda folder: Trie.build(table.codes, table.vocab_size).save(folder),
  )
  spec.save(out)
  artifacts.write_text(out / CONFIG, text.given)
  artifacts.write_text(out / OPERATIVE_CONFIG, text.operative)
  return spec


def _untrained_retriever(spec: ModelSpec, out: Path) -> Retriever:
  table, trie = model_folder.load_docids(out, spec)
  return Retriever(spec, None, table=table, trie=trie)


def _program(
  config: TrainConfig,
  spec: ModelSpec,
  optimizer: optax.GradientTransformation,
) -> Program:
  return Program(
    model=T5(spec.model),
    num_symbols=spec.num_symbols,
    optimizer=optimizer,
    loss=config.loss,
    seed=config.seed,
    mesh=config.mesh.build(),
  )


def _evaluation(
  dev: DevConfig | None, collection: Collection, retriever: Retriever
) -> Callable[[Any, int], Mapping[str, float]]:
  """Returns the function that judges parameters on dev queries."""
  if dev is None:
    return lambda params, step: {}
  qrels = collection.qrels(dev.split)
  queries = list(collection.queries(dev.split))
  if dev.num_queries is not None and dev.num_queries < len(queries):
    kept = np.linspace(0, len(queries) - 1, dev.num_queries).astype(int)
    queries = [queries[i] for i in kept]
    qrels = {query.query_id: qrels[query.query_id] for query in queries}
  names = tuple(dict.fromkeys((dev.measure, "RR@10", "R@1", "R@10")))

  def evaluate(params: Any, step: int) -> Mapping[str, float]:
    del step
    run = retriever.with_params(params).run(
      queries, k=10, num_beams=dev.num_beams
    )
    return measures.evaluate(run, qrels, measures=names).means

  return evaluate


def _write_result(out: Path, checkpoints: Checkpoints) -> None:
  """Writes which states were kept, and the hashes of their parameters."""
  checkpoints.wait()
  newest, best = checkpoints.newest, checkpoints.best
  result = {
    "best_step": best,
    "newest_step": newest,
    "parameters": {
      str(step): _digest(checkpoints.restore_params(step))
      for step in sorted({newest, best})
    },
  }
  checkpoints.close()
  artifacts.write_json(out / RESULT, result)


def _identifying_files(out: Path) -> list[str]:
  """Lists the files whose bytes are the same for the same run.

  Checkpoints are not: RESULT holds the hashes of their arrays.
  """
  paths = [
    path
    for folder in (model_folder.DOCIDS, model_folder.TRIE)
    for path in (out / folder).rglob("*")
    if path.is_file() and path.name != artifacts.PROVENANCE
  ]
  names = [path.relative_to(out).as_posix() for path in paths]
  return [model_folder.MODEL, RESULT, *names]


def _digest(params: Any) -> str:
  """Hashes parameters by name, shape and bytes."""
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    digest.update(jax.tree_util.keystr(path).encode())
    digest.update(str(leaf.shape).encode())
    digest.update(np.ascontiguousarray(leaf).tobytes())
  return digest.hexdigest()
