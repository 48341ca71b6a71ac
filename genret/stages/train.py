"""The training stage: a mixture and docids in, a model folder out."""

import dataclasses
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import optax
from jax.sharding import Mesh

from genret.core import artifacts, atomic
from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.decoding.trie import Trie
from genret.embeddings.store import EmbeddingStore
from genret.models.t5 import T5, T5Config
from genret.retrieval import model_folder
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec
from genret.stages import dev_queries, first_params, trained
from genret.stages.dev_queries import DevConfig
from genret.stages.initial_weights import InitialWeights
from genret.stages.trained import RESULT
from genret.tasks import feed, mixtures
from genret.tasks.host_tensorflow import seqio
from genret.training import cluster, partitioning
from genret.training.checkpoints import Checkpoints
from genret.training.dense_start import DenseStart
from genret.training.loop import Loop, LoopConfig
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor, AdamW
from genret.training.partitioning import MeshShape
from genret.training.sampled import Sampled
from genret.training.step import Program

__all__ = ["RESULT", "ConfigText", "DevConfig", "TrainConfig", "run"]

STAGE = "train"
CONFIG = "config.gin"
OPERATIVE_CONFIG = "operative_config.gin"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
  """Everything a run of training depends on.

  Attributes:
    model: The T5's shape; its docid vocabulary is taken from the docids.
    mixture: A seqio mixture or its name, or a function that builds one from
      the collection and the docid table.
    task_feature_lengths: Longest `inputs` and `targets` in a row of a batch;
      when packing, a row holds several examples.
    batch_size: Rows a step, of all processes together.
    pack: Whether short examples share a row.
    optimizer: Adafactor or AdamW and their settings.
    loss: Smoothing, z-loss, and how the head is computed.
    loop: Steps and intervals.
    dev: In-loop evaluation; None trains without it.
    input_length: Longest query in tokens when searching.
    scoring: How a search scores docids.
    mesh: How the work is split over devices.
    accumulate: Parts that a batch is taken in, one after another, which
      needs the memory of a part. Dropout masks are drawn for each part.
    seed: Of parameters, dropout and the order of examples.
    dense_start: How atomic docids start from the embeddings, where these are
      given.
    initial_checkpoint: Folder of the weights to start from, of
      `genret convert` or a model folder; None starts at random. They must be
      of a T5 of this shape; docid parameters that they lack start at random.
      Once there is a checkpoint they are not read again.
    allow_other_topology: Whether to go on, inexactly, from a checkpoint
      whose input was in another number of shards.
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
  accumulate: int = 1
  seed: int = 0
  dense_start: DenseStart = DenseStart()
  initial_checkpoint: str | Path | None = None
  allow_other_topology: bool = False

  def __post_init__(self):
    if self.accumulate < 1 or self.batch_size % self.accumulate:
      raise ConfigError(
        f"accumulate is {self.accumulate}; expected a divisor of the"
        f" batch_size, {self.batch_size}."
      )


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

  Joins the other processes first, where the environment names them (see
  `cluster.membership`); they all call this with the same arguments, and see
  the same folders.

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
  cluster.join()
  with cluster.together(out):
    return _run(
      config,
      collection,
      docids,
      out=Path(out),
      embeddings=embeddings,
      text=text,
    )


def _run(
  config: TrainConfig,
  collection: Collection,
  docids: Path,
  *,
  out: Path,
  embeddings: EmbeddingStore | None,
  text: ConfigText,
) -> Path:
  table = DocidTable.load(docids)
  mixtures.check_same_documents(collection, table)
  spec = _spec(config, table, docids)
  initial = _initial(config, table, spec)
  prepare = first_params.preparation(
    table, embeddings, how=config.dense_start, initial=initial
  )
  mixture = config.mixture
  if callable(mixture):
    mixture = mixture(collection, table)
  inputs = {
    "collection": collection.identity,
    "docids": artifacts.identity(docids),
    **({"embeddings": embeddings.identity} if embeddings else {}),
    **({"initial_checkpoint": initial.identity} if initial else {}),
  }
  name = getattr(mixture, "name", mixture)
  recipe = _recipe(config, mixture=name, inputs=inputs)
  dev = _dev(config, collection)
  optimizer = config.optimizer.build(config.loop.train_steps)
  started = time.time()
  mesh = config.mesh.build()
  partitioning.check_rows(config.batch_size, mesh, parts=config.accumulate)
  if initial:
    initial.check(out)
  if cluster.once(lambda: artifacts.begin(out, recipe) is not None):
    return out
  _describe(mixture)
  cluster.once(lambda: _lay_out(spec, table, out, docids=docids, text=text))
  checkpoints = Checkpoints(
    out / model_folder.CHECKPOINTS, measure=dev.measure if dev else None
  )
  loop = Loop(
    program=_program(config, spec, optimizer, mesh=mesh),
    feed=_batches(config, mixture, mesh),
    checkpoints=checkpoints,
    config=config.loop,
    evaluate=dev_queries.evaluation(
      dev, collection, lambda: _untrained_retriever(spec, out, mesh)
    ),
    folder=out,
    label=out.name,
    prepare=prepare,
    other_topology=config.allow_other_topology,
  )
  loop.run()
  checkpoints.wait()

  def seal() -> None:
    trained.write_result(out, checkpoints)
    artifacts.seal(
      out,
      recipe,
      files=trained.identifying_files(out),
      started=started,
      gin_text=text.operative,
    )

  cluster.once(seal)
  checkpoints.close()
  return out


def _initial(
  config: TrainConfig, table: DocidTable, spec: ModelSpec
) -> InitialWeights | None:
  """Returns the weights to start from, if any; nothing is read yet."""
  if config.initial_checkpoint is None:
    return None
  folder = Path(config.initial_checkpoint).expanduser()
  return InitialWeights(folder=folder, table=table, spec=spec)


def _describe(mixture: Any) -> None:
  """Prints what is trained on."""
  if not cluster.is_first():
    return
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


def _batches(config: TrainConfig, mixture: Any, mesh: Mesh) -> feed.Batches:
  """Opens this process's rows of every batch."""
  shard = partitioning.input_shard(mesh)
  return feed.training_batches(
    mixture,
    lengths=config.task_feature_lengths,
    batch_size=config.batch_size // shard.count,
    pack=config.pack,
    seed=config.seed,
    shard=seqio.ShardInfo(shard.index, shard.count),
  )


def _recipe(
  config: TrainConfig, *, mixture: str, inputs: Mapping[str, str]
) -> artifacts.Recipe:
  """What sets this run apart from another, without paths and devices.

  How the machine does the work is left out: the mesh, parts of a batch, what
  is made again, what is scanned, a head that is computed in chunks; a sample
  of it trains something else. A run that proves too large for its devices
  goes on with other ones. How the head starts counts where embeddings are
  given.
  """
  skipped = {"mixture", "mesh", "seed", "accumulate", "allow_other_topology"}
  skipped.add("initial_checkpoint")  # an input
  arguments = {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(config)
    if field.name not in skipped
  }
  arguments["model"] = config.model.plain
  if not isinstance(config.loss.head, Sampled):
    arguments["loss"] = dataclasses.replace(config.loss, head=None)
  if "embeddings" not in inputs:
    del arguments["dense_start"]
  return artifacts.Recipe(
    stage=STAGE,
    arguments={**arguments, "mixture": mixture},
    seed=config.seed,
    inputs=inputs,
  )


def _spec(config: TrainConfig, table: DocidTable, docids: Path) -> ModelSpec:
  """Returns what a search must know of the model."""
  own = not table.text_vocabulary
  model = dataclasses.replace(
    config.model.plain,
    docid_vocab_size=table.vocab_size if own else None,
    docid_length=table.length,
  )
  return ModelSpec(
    model=model,
    num_symbols=table.vocab_size,
    scheme=table.scheme,
    docids=model_folder.codes_hash(docids),
    input_length=config.input_length,
    scoring=config.scoring,
    dev_measure=config.dev.measure if config.dev else None,
  )


def _lay_out(
  spec: ModelSpec,
  table: DocidTable,
  out: Path,
  *,
  docids: Path,
  text: ConfigText,
) -> None:
  """Writes all of a model folder that is known before training."""
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


def _untrained_retriever(spec: ModelSpec, out: Path, mesh: Mesh) -> Retriever:
  table, trie = model_folder.load_docids(out, spec)
  return Retriever(spec, None, table=table, trie=trie, mesh=mesh)


def _program(
  config: TrainConfig,
  spec: ModelSpec,
  optimizer: optax.GradientTransformation,
  *,
  mesh: Mesh,
) -> Program:
  model = dataclasses.replace(
    spec.model, remat=config.model.remat, scan_layers=config.model.scan_layers
  )
  return Program(
    model=T5(model),
    num_symbols=spec.num_symbols,
    optimizer=optimizer,
    loss=config.loss,
    seed=config.seed,
    mesh=mesh,
    rules=config.mesh.rules,
    accumulate=config.accumulate,
  )
