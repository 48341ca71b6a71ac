"""The training stage: a mixture and docids in, a model folder out."""

import dataclasses
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from genret.core import artifacts, atomic
from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.decoding.trie import Trie
from genret.embeddings.store import EmbeddingStore
from genret.models.t5 import T5
from genret.retrieval import model_folder
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec
from genret.stages import (
  cached_states,
  dev_queries,
  memorised,
  train_config,
  trained,
  training_input,
)
from genret.stages.cached_states import CachedStates
from genret.stages.dev_queries import DevConfig
from genret.stages.first_params import Start
from genret.stages.initial_weights import InitialWeights
from genret.stages.train_config import TrainConfig
from genret.stages.trained import RESULT
from genret.tasks import feed, mixtures
from genret.tasks.host_tensorflow import seqio
from genret.training import cluster, partitioning
from genret.training.checkpoints import Checkpoints
from genret.training.loop import Loop
from genret.training.step import Program

__all__ = ["RESULT", "ConfigText", "DevConfig", "TrainConfig", "run"]

CONFIG = "config.gin"
OPERATIVE_CONFIG = "operative_config.gin"


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
  states: Path | None = None,
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
    states: Folder that keeps the states of `TrainConfig.cache_states` for
      other runs that read the same texts; None removes them at the end.
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
      shared_states=states,
      text=text,
    )


def _run(
  config: TrainConfig,
  collection: Collection,
  docids: Path,
  *,
  out: Path,
  embeddings: EmbeddingStore | None,
  shared_states: Path | None,
  text: ConfigText,
) -> Path:
  table = DocidTable.load(docids)
  mixtures.check_same_documents(collection, table)
  spec = _spec(config, table, docids)
  start = _start(config, collection, table, spec=spec, embeddings=embeddings)
  mixture = training_input.mixture(
    config.mixture, collection, table, model=spec.model
  )
  states = cached_states.opened(
    config.cache_states, mixture, spec, out=out, shared=shared_states
  )
  inputs = {
    "collection": collection.identity,
    "docids": artifacts.identity(docids),
    **start.inputs,
  }
  recipe = _recipe(config, mixture, inputs)
  dev = dev_queries.checked(config.dev, collection)
  started = time.time()
  mesh = config.mesh.build()
  program = _program(config, spec, mesh)
  start.check(out)
  remember = _remembering(config, mixture, out)
  if cluster.once(lambda: artifacts.begin(out, recipe) is not None):
    return remember()
  training_input.describe(mixture)
  cluster.once(lambda: _lay_out(spec, table, out, docids=docids, text=text))
  checkpoints = Checkpoints(
    out / model_folder.CHECKPOINTS, measure=dev.measure if dev else None
  )
  loop = Loop(
    program=program,
    feed=_batches(config, mixture, mesh, states=states),
    checkpoints=checkpoints,
    config=config.loop,
    evaluate=dev_queries.evaluation(
      dev, collection, lambda: _untrained_retriever(spec, out, mesh)
    ),
    folder=out,
    label=out.name,
    prepare=start.prepare,
    before=states.fill,
    other_topology=config.allow_other_topology,
  )
  loop.run()
  checkpoints.wait()

  def seal() -> None:
    states.remove()
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
  return remember()


def _recipe(
  config: TrainConfig, mixture: Any, inputs: Mapping[str, str]
) -> artifacts.Recipe:
  name = getattr(mixture, "name", mixture)
  return train_config.recipe(config, mixture=name, inputs=inputs)


def _remembering(
  config: TrainConfig, mixture: Any, out: Path
) -> Callable[[], Path]:
  """Returns what says whether the finished model knows its pairs by heart.

  It returns the model's folder.
  """
  count = config.memorised_pairs
  if not count:
    return lambda: out
  examples = memorised.examples_of(mixture)

  def remember() -> Path:
    found = cluster.once(lambda: memorised.measured(out, examples, count))
    if cluster.is_first():
      memorised.announce(found)
    return out

  return remember


def _start(
  config: TrainConfig,
  collection: Collection,
  table: DocidTable,
  *,
  spec: ModelSpec,
  embeddings: EmbeddingStore | None,
) -> Start:
  """Opens what the run starts from; weights of whole models stay unread."""
  folder, weights = config.initial_checkpoint, config.encoder_weights
  pieces = config.input_embeddings
  return Start(
    model=spec.model,
    collection=collection,
    table=table,
    initial=InitialWeights(
      folder=Path(folder).expanduser(), table=table, spec=spec
    )
    if folder is not None
    else None,
    encoder=weights() if weights else None,
    pieces=pieces() if pieces else None,
    embeddings=embeddings,
    dense=config.dense_start,
    lexical=config.lexical_start,
  )


def _batches(
  config: TrainConfig, mixture: Any, mesh: Mesh, *, states: CachedStates
) -> feed.Batches:
  """Opens this process's rows of every batch."""
  shard = partitioning.input_shard(mesh)
  return feed.training_batches(
    mixture,
    lengths=config.task_feature_lengths,
    batch_size=config.batch_size // shard.count,
    pack=config.pack,
    seed=config.seed,
    shard=seqio.ShardInfo(shard.index, shard.count),
    states=states.source,
  )


def _spec(config: TrainConfig, table: DocidTable, docids: Path) -> ModelSpec:
  """Returns what a search must know of the model."""
  own = not table.text_vocabulary
  model = dataclasses.replace(
    config.model.plain,
    docid_vocab_size=table.vocab_size if own else None,
    docid_length=table.length,
    level_starts=table.level_starts,
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


def _program(config: TrainConfig, spec: ModelSpec, mesh: Mesh) -> Program:
  partitioning.check_rows(config.batch_size, mesh, parts=config.accumulate)
  model = dataclasses.replace(
    spec.model, remat=config.model.remat, scan_layers=config.model.scan_layers
  )
  return Program(
    model=T5(model),
    num_symbols=spec.num_symbols,
    optimizer=config.optimizer.build(config.loop.train_steps),
    loss=config.loss,
    seed=config.seed,
    mesh=mesh,
    rules=config.mesh.rules,
    accumulate=config.accumulate,
  )
