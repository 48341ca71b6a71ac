"""The stage of a dual encoder: a mixture and documents in, a folder out."""

import dataclasses
import functools
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import ConfigError
from genret.docids import atomic
from genret.retrieval import dual, dual_spec, model_folder
from genret.retrieval.dual import DualRetriever
from genret.stages import (
  cached_states,
  dev_queries,
  dual_config,
  hard_negatives,
  memorised,
  temperature,
  trained,
  training_input,
)
from genret.stages.dev_queries import DevConfig
from genret.stages.dual_config import TrainConfig
from genret.stages.first_params import Start
from genret.stages.initial_weights import InitialWeights
from genret.stages.temperature import Trial
from genret.stages.train import CONFIG, NO_TEXT, OPERATIVE_CONFIG, ConfigText
from genret.tasks import feed
from genret.tasks.pair_feed import PairBatches
from genret.tasks.pairs import Pairs
from genret.tasks.states import StateRows
from genret.training import contrastive, partitioning
from genret.training.checkpoints import Checkpoints
from genret.training.contrastive import Contrast
from genret.training.loop import Loop
from genret.training.step import Program

__all__ = ["DevConfig", "TrainConfig", "run"]

NEGATIVES = "negatives"
_TUNING = "tuning"
_DOCUMENTS = "documents"  # no task of a mixture: their names begin otherwise


def run(
  config: TrainConfig,
  collection: Collection,
  *,
  out: Path,
  states: Path | None = None,
  text: ConfigText = NO_TEXT,
) -> Path:
  """Trains to the last step, going on from the newest whole checkpoint.

  Args:
    config: The run.
    collection: What is indexed, and whose dev queries judge the run.
    out: The model folder, new or of this very run.
    states: Folder that keeps the states of `TrainConfig.cache_states` for
      other runs; None removes them at the end.
    text: The gin text to keep beside the run.

  Returns:
    The model folder. A run that is already finished is left as it is.

  Raises:
    ArtifactError: If the folder belongs to another run; says what differs.
    ConfigError: If several processes train together.
    DivergedError: If the loss stops being a number, in trials with every
      temperature.
  """
  if jax.process_count() > 1:
    raise ConfigError(
      "A dual encoder is trained by one process, on as many devices as it"
      f" sees; here are {jax.process_count()}. Start one."
    )
  work = _Work(config, collection, Path(out), states=states)
  dev_queries.checked(config.dev, collection)
  partitioning.check_rows(config.batch_size, work.mesh)
  recipe = dual_config.recipe(
    config,
    mixture=work.mixture.name,
    inputs={"collection": collection.identity, **work.start.inputs},
  )
  started = time.time()
  work.start.check(work.out)
  if artifacts.begin(work.out, recipe) is None:
    training_input.describe(work.mixture)
    work.train(text)
    artifacts.seal(
      work.out,
      recipe,
      files=[dual_spec.SPEC, trained.RESULT],
      started=started,
      gin_text=text.operative,
    )
  return work.remember()


class _Work:
  """A run, and what its trials of temperatures share with it."""

  def __init__(
    self,
    config: TrainConfig,
    collection: Collection,
    out: Path,
    *,
    states: Path | None,
  ):
    self.config = config
    self.collection = collection
    self.out = out
    self.mesh = config.mesh.build()
    self.mixture = training_input.mixture(
      config.mixture, collection, atomic.fit(collection), model=config.model
    )
    self.spec = config.spec(collection.docnos.checksum)
    self.examples = memorised.examples_of(self.mixture)
    self.documents = dual.read_documents(self.spec, collection)
    self.states = cached_states.opened(
      config.cache_states,
      self.mixture,
      self.spec,
      out=out,
      shared=states,
      more={_DOCUMENTS: self.documents.examples},
    )
    self.filled = False

  @functools.cached_property
  def start(self) -> Start:
    """What takes the place of chance; weights stay unread."""
    config = self.config
    folder, weights = config.initial_checkpoint, config.encoder_weights
    pieces = config.input_embeddings
    return Start(
      model=config.model,
      collection=self.collection,
      table=None,
      initial=InitialWeights(
        folder=Path(folder).expanduser(), table=None, spec=self.spec
      )
      if folder is not None
      else None,
      encoder=weights() if weights else None,
      pieces=pieces() if pieces else None,
      lexical=config.lexical_start,
    )

  @functools.cached_property
  def pairs(self) -> Pairs:
    """Texts and documents."""
    return Pairs(
      ingredients=feed.ingredients(self.mixture, with_places=True),
      documents=self.documents,
    )

  @functools.cached_property
  def evaluate(self) -> Callable[[Any, int], Mapping[str, float]]:
    """Judges parameters on dev queries, once states have been computed."""
    documents = self.documents
    if self.states.source:
      examples = self.states.source()[_DOCUMENTS]
      documents = dataclasses.replace(documents, examples=examples)
    return dev_queries.evaluation(
      self.config.dev,
      self.collection,
      lambda: DualRetriever(self.spec, documents, self.collection.docnos),
    )

  def train(self, text: ConfigText) -> None:
    """Fills the folder."""
    artifacts.write_text(self.out / CONFIG, text.given)
    artifacts.write_text(self.out / OPERATIVE_CONFIG, text.operative)
    chosen = temperature.chosen(
      self.config.temperatures,
      self.attempt,
      measure=self.spec.dev_measure,
      path=self.out / temperature.FILE,
    )
    dataclasses.replace(self.spec, temperature=chosen).save(self.out)
    loop = self.loop(chosen, self.out, self.config)
    loop.run()
    loop.checkpoints.wait()
    trained.write_result(self.out, loop.checkpoints)
    loop.checkpoints.close()
    self.states.remove()
    shutil.rmtree(self.out / _TUNING, ignore_errors=True)

  def attempt(self, temperature: float) -> Trial:
    """Trains with a temperature for a while, and judges it."""
    folder = self.out / _TUNING / f"{temperature:g}"
    loop = dataclasses.replace(
      self.loop(temperature, folder, self.config.trial),
      evaluate=lambda params, step: {},
      label=f"temperature {temperature}",
    )
    try:
      state = loop.run()
    finally:
      loop.checkpoints.close()
    self.fill_states(state.params)  # a finished loop does not
    return Trial(
      measures=self.evaluate(state.params, loop.config.train_steps),
      cpu_seconds=loop.cpu_seconds,
    )

  def fill_states(self, params: Any) -> None:
    """Computes states, the first time that there are parameters."""
    if self.states.source and not self.filled:
      self.states.fill(params)
      self.filled = True

  def loop(self, temperature: float, folder: Path, config: TrainConfig) -> Loop:
    """Returns what trains with a temperature."""
    folder.mkdir(parents=True, exist_ok=True)
    return Loop(
      program=Program(
        model=dataclasses.replace(self.spec, model=config.model).module,
        num_symbols=0,
        optimizer=config.optimizer.build(config.loop.train_steps),
        loss=Contrast(temperature=temperature),
        sums=contrastive.batch_sums,
        seed=config.seed,
        mesh=self.mesh,
        rules=config.mesh.rules,
      ),
      feed=self.batches(),
      checkpoints=Checkpoints(
        folder / model_folder.CHECKPOINTS, measure=self.spec.dev_measure
      ),
      config=config.loop,
      evaluate=lambda params, step: self.evaluate(params, step),
      folder=folder,
      label=self.out.name,
      prepare=self.start.prepare,
      before=self.fill_states,
      other_topology=config.allow_other_topology,
    )

  def batches(self) -> PairBatches:
    """Opens the batches, and mines hard negatives where they are missing."""
    config, found = self.config, None
    if config.negatives is not None:
      found = hard_negatives.mined(
        config.negatives,
        self.pairs,
        self.collection,
        vocabulary=config.model.input_vocabulary,
        folder=self.out / NEGATIVES,
      )
    return PairBatches(
      self.pairs,
      batch_size=config.batch_size,
      seed=config.seed,
      negatives=found,
      num_negatives=config.negatives.count if config.negatives else 0,
      identity={"mixture": self.mixture.name},
      states=self.read_states if self.states.source else None,
    )

  def read_states(self) -> StateRows:
    """Returns the states of the tokens of texts, then of documents."""
    return StateRows([one.states for one in self.states.source().values()])

  def remember(self) -> Path:
    """Says whether the finished model knows its pairs, where that is asked."""
    if self.config.memorised_pairs:
      opened = memorised.Opened(
        dev_measure=self.spec.dev_measure,
        load=lambda checkpoint: DualRetriever.load(
          self.out, self.collection, checkpoint=checkpoint
        ),
      )
      found = memorised.measured(
        self.out, self.examples, self.config.memorised_pairs, opened=opened
      )
      memorised.announce(found)
    return self.out
