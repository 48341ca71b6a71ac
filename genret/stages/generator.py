"""The generator stage: judged pairs in, models that write queries out."""

import dataclasses
import logging
import shutil
import time
from pathlib import Path

import numpy as np
from jax.sharding import Mesh

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import ConfigError
from genret.interop import weights
from genret.models.t5 import T5
from genret.querygen import folds as folds_lib
from genret.querygen import generator as generator_lib
from genret.querygen import grouped
from genret.querygen.generator import GeneratorSpec
from genret.retrieval.model_folder import ModelSpec
from genret.stages import (
  cached_states,
  generator_config,
  held_out,
  train_config,
  trained,
)
from genret.stages.cached_states import CachedStates
from genret.stages.first_params import Start
from genret.stages.generator_config import GeneratorConfig
from genret.stages.initial_weights import InitialWeights
from genret.stages.train import CONFIG, NO_TEXT, OPERATIVE_CONFIG, ConfigText
from genret.tasks import reversed as reversed_pairs
from genret.tasks.reversed import HeldOutBatches, Pairs
from genret.tasks.stream_feed import StreamBatches
from genret.training import cluster, partitioning
from genret.training.checkpoints import Checkpoints
from genret.training.loop import Loop
from genret.training.step import Program

__all__ = ["GeneratorConfig", "run"]

_log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
STATES = "states"
_IDENTIFYING = (
  weights.HEADER,
  weights.PARAMETERS,
  trained.RESULT,
  generator_lib.FOLD_SUMMARY,
  held_out.CURVE,
)


def run(
  config: GeneratorConfig,
  collection: Collection,
  *,
  out: Path,
  text: ConfigText = NO_TEXT,
) -> Path:
  """Trains one model a fold, going on where a killed run stopped.

  Several processes take part as in `genret.stages.train`.

  Args:
    config: The run.
    collection: Whose judged pairs are read.
    out: The artifact's folder, new or of this very run.
    text: The gin text to keep beside the run.

  Returns:
    The folder: `generator.json`, and weights as `genret convert` writes them
    in `fold_0` and so on. Finished folds are left as they are.

  Raises:
    ArtifactError: If the folder belongs to another run; says what differs.
    ConfigError: If there are too few pairs.
    DivergedError: If a loss stops being a number.
  """
  cluster.join()
  with cluster.together(out):
    return _run(config, collection, out=Path(out), text=text)


def _run(
  config: GeneratorConfig,
  collection: Collection,
  *,
  out: Path,
  text: ConfigText,
) -> Path:
  started = time.time()
  whole = Run(config, collection)
  recipe = whole.recipe()
  if cluster.once(lambda: artifacts.begin(out, recipe) is not None):
    return out
  spec = whole.spec
  cluster.once(lambda: _lay_out(spec, out, text=text))
  if cluster.is_first():
    print(whole.describe())
    _warn_of_labels(config, collection)
  for fold in range(config.folds):
    whole.train(fold, generator_lib.fold_folder(out, fold), text=text)

  def seal() -> None:
    folds = [generator_lib.fold_folder(Path(), f) for f in range(config.folds)]
    manifests = [(fold / artifacts.MANIFEST).as_posix() for fold in folds]
    artifacts.seal(
      out,
      recipe,
      files=[generator_lib.SPEC, *manifests],
      started=started,
      gin_text=text.operative,
    )

  cluster.once(seal)
  return out


def _lay_out(spec: GeneratorSpec, out: Path, *, text: ConfigText) -> None:
  spec.save(out)
  artifacts.write_text(out / CONFIG, text.given)
  artifacts.write_text(out / OPERATIVE_CONFIG, text.operative)


def _warn_of_labels(config: GeneratorConfig, collection: Collection) -> None:
  """Warns of a start that has seen what cross-fitting keeps from a model."""
  folder = config.initial_checkpoint
  if folder is None or config.folds == 1:
    return
  manifest = artifacts.load(Path(folder).expanduser())
  known = grouped.identities(collection)
  if (
    manifest.stage in (weights.GENERATOR, train_config.STAGE)
    and manifest.inputs.get("collection") in known
  ):
    _log.warning(
      "%s was trained on labels of %s: every fold's model starts from it, so"
      " that none is free of the labels of its documents, and cross-fitting is"
      " undone; start from other weights (INITIAL_CHECKPOINT_PATH)",
      folder,
      collection.root,
    )


class Run:
  """The pairs of a run, and the training of a model on those of a fold.

  Args:
    config: The run.
    collection: Whose pairs.
  """

  def __init__(self, config: GeneratorConfig, collection: Collection):
    self._config = config
    self._collection = collection
    self.pairs = reversed_pairs.read(
      collection, config.pairs, vocabulary=config.model.input_vocabulary
    )
    docnos = [collection.docnos[int(row)] for row in self.pairs.rows]
    self._folds = folds_lib.folds_of(docnos, config.folds)
    self._leaking = self._found_leaks()
    self._held_out = folds_lib.held_out(docnos, config.held_out_share)
    self._start = self._opened_start()

  @property
  def spec(self) -> GeneratorSpec:
    """What writing queries needs to know."""
    spec = self._config.spec
    if not spec.grades:
      return spec
    seen = [self._grades(fold) for fold in range(self._config.folds)]
    shared = sorted(set.intersection(*map(set, seen)))
    return dataclasses.replace(spec, seen_grades=tuple(shared))

  def _grades(self, fold: int) -> list[int]:
    """Returns the grades that a fold's model is trained on, ascending."""
    chosen = ~self._leaking[:, fold] & ~self._held_out
    return np.unique(self.pairs.grades[chosen]).tolist()

  def describe(self) -> str:
    """Says how many pairs there are."""
    pairs = self.pairs
    return (
      f"{self._collection.name}: {len(pairs):,} pairs of"
      f" {len(np.unique(pairs.rows)):,} documents;"
      f" {pairs.examples.num_truncated:,} inputs cut, {pairs.num_empty:,} pairs"
      " of empty documents left out"
    )

  def recipe(self, **more: int) -> artifacts.Recipe:
    """What sets this run apart: see the recipe of training."""
    arguments = generator_config.arguments(self._config)
    return artifacts.Recipe(
      stage=weights.GENERATOR if more else generator_lib.STAGE,
      arguments={**arguments, **more},
      seed=self._config.seed,
      inputs={"collection": self._collection.identity, **self._start.inputs},
      format_version=weights.FORMAT_VERSION,
    )

  def train(self, fold: int, out: Path, *, text: ConfigText) -> None:
    """Trains the model of a fold, unless it is there."""
    started, recipe = time.time(), self.recipe(fold=fold)
    self._start.check(out)
    if cluster.once(lambda: artifacts.begin(out, recipe) is not None):
      cluster.once(lambda: _forget(out))
      return
    train, judged = self._parts(fold)
    states = self._states(train, out)
    checkpoints = Checkpoints(out / CHECKPOINTS, measure=held_out.MEASURE)
    self._loop(
      train, judged, states, checkpoints=checkpoints, fold=fold, out=out
    ).run()
    checkpoints.wait()

    def seal() -> None:
      states.remove()
      trained.write_weights(
        out,
        checkpoints,
        model=self._config.model,
        dtype=self._config.dtype,
      )
      counts = {
        "trained_pairs": len(train),
        "held_out_pairs": len(judged),
        "repeating_pairs": int(self._repeating(fold).sum()),
      }
      if self._config.pairs.grades:
        counts["grades"] = self._grades(fold)
      artifacts.write_json(
        out / generator_lib.FOLD_SUMMARY, {"fold": fold, **counts}
      )
      artifacts.seal(
        out,
        recipe,
        files=_IDENTIFYING,
        started=started,
        gin_text=text.operative,
      )
      _forget(out)

    cluster.once(seal)
    checkpoints.close()

  def _parts(self, fold: int) -> tuple[Pairs, Pairs]:
    """Returns the pairs that a fold's model is trained and judged on."""
    config = self._config
    seen = ~self._leaking[:, fold]
    train = self.pairs.only(seen & ~self._held_out)
    judged = self.pairs.only(seen & self._held_out)
    if not len(train) or not len(judged):
      raise ConfigError(
        f"Fold {fold} of {config.folds} leaves {len(train):,} pairs to train on"
        f" and {len(judged):,} to measure the loss on; of each some are needed"
        f" ({self._repeating(fold).sum():,} pairs repeat a question or a"
        " document of the fold)."
        " Take fewer folds (FOLDS) or another share (HELD_OUT_SHARE)."
      )
    return train, judged

  def _found_leaks(self) -> np.ndarray:
    """Says which pairs tell each fold's model of its documents; bool [P, F].

    Those of documents in the fold, and those whose question, or whose
    document's text, occurs in the fold as well.
    """
    pairs, folds = self.pairs, self._config.folds
    if folds == 1:
      return np.zeros((len(pairs), 1), bool)
    asked = folds_lib.met(pairs.questions, self._folds, folds)
    texts = folds_lib.folds_of_texts(self._collection, pairs.rows, folds)
    return asked[pairs.questions] | texts

  def _repeating(self, fold: int) -> np.ndarray:
    """Says which pairs of other folds' documents are left out; bool [P]."""
    return self._leaking[:, fold] & (self._folds != fold)

  def _loop(
    self,
    train: Pairs,
    judged: Pairs,
    states: CachedStates,
    *,
    checkpoints: Checkpoints,
    fold: int,
    out: Path,
  ) -> Loop:
    config = self._config
    mesh = config.mesh.build()
    partitioning.check_rows(config.batch_size, mesh, parts=config.accumulate)
    program = self._program(mesh, fold)
    return Loop(
      program=program,
      feed=self._batches(train, mesh, fold=fold, states=states),
      checkpoints=checkpoints,
      config=config.loop,
      evaluate=held_out.evaluation(
        program,
        self._judging(judged, mesh),
        rows=config.eval_rows,
        curve=held_out.Curve(
          path=out / held_out.CURVE,
          tokens_a_step=config.batch_size * config.row.inputs,
        ),
      ),
      folder=out,
      label=f"fold {fold} of {config.folds}",
      prepare=self._start.prepare,
      before=states.fill,
      other_topology=config.allow_other_topology,
    )

  def _program(self, mesh: Mesh, fold: int) -> Program:
    config = self._config
    return Program(
      model=T5(config.model),
      num_symbols=config.model.num_symbols,
      optimizer=config.optimizer.build(config.loop.train_steps),
      loss=config.loss,
      seed=config.seed + fold,
      mesh=mesh,
      rules=config.mesh.rules,
      accumulate=config.accumulate,
    )

  def _batches(
    self, pairs: Pairs, mesh: Mesh, *, fold: int, states: CachedStates
  ) -> StreamBatches:
    """Opens this process's rows of every batch."""
    config, shard = self._config, partitioning.input_shard(mesh)
    found = states.source
    return reversed_pairs.training_batches(
      pairs,
      lengths=config.row,
      batch_size=config.batch_size // shard.count,
      pack=config.pack,
      seed=config.seed + fold,
      shard=(shard.index, shard.count),
      states=found and (lambda: found()[STATES]),
    )

  def _judging(self, pairs: Pairs, mesh: Mesh) -> HeldOutBatches:
    shard = partitioning.input_shard(mesh)
    return HeldOutBatches(
      pairs,
      lengths=self._config.row,
      batch_size=self._config.batch_size,
      pack=self._config.pack,
      shard=(shard.index, shard.count),
    )

  def _states(self, pairs: Pairs, out: Path) -> CachedStates:
    wanted = self._config.cache_states
    if wanted:
      cached_states.check(self._config.model)
    return CachedStates(
      {STATES: pairs.examples} if wanted else {},
      model=self._config.model,
      folder=out / STATES,
    )

  def _opened_start(self) -> Start:
    config = self._config
    folder, encoder = config.initial_checkpoint, config.encoder_weights
    pieces = config.input_embeddings
    model = dataclasses.replace(
      config.model.plain, docid_length=self.pairs.targets.length
    )
    spec = ModelSpec(
      model=model,
      num_symbols=model.num_symbols,
      scheme="text",
      docids="",
      input_length=config.pairs.inputs_length,
    )
    return Start(
      model=model,
      collection=self._collection,
      table=self.pairs.targets,
      initial=InitialWeights(
        folder=Path(folder).expanduser(), table=self.pairs.targets, spec=spec
      )
      if folder is not None
      else None,
      encoder=encoder() if encoder else None,
      pieces=pieces() if pieces else None,
    )


def _forget(out: Path) -> None:
  """Removes the states of a finished model; its weights are written."""
  shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
