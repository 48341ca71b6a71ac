"""The settings of a dual encoder's training, and which of them tell runs apart.

Names are those of `train_config`, where they mean the same.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genret.core import artifacts
from genret.core.errors import ConfigError
from genret.embeddings.minilm import PretrainedEncoder
from genret.embeddings.pieces import PieceVectors
from genret.models.dual_encoder import Scoring
from genret.models.t5 import T5Config
from genret.retrieval.dual_spec import DualSpec
from genret.stages.dev_queries import DevConfig
from genret.stages.hard_negatives import HardNegatives
from genret.training.dense_start import DenseStart
from genret.training.lexical_start import LexicalStart
from genret.training.loop import LoopConfig
from genret.training.optimizers import Adafactor, AdamW
from genret.training.partitioning import MeshShape

STAGE = "dual_encoder"
TRIALS_IN_A_RUN = 10  # as many would take as many steps as the run


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
  """Everything a run depends on.

  Attributes:
    model: The T5 whose encoder is trained, or with a sentence encoder in its
      place.
    mixture: A mixture of `mixtures.build`, or a function that builds one from
      the collection and a docid table; of a docid it reads whose it is.
    loop: Steps and intervals.
    scoring: `mean`, a vector a text, or `late`, one a token; see
      `models.dual_encoder`.
    dim: Numbers of a vector, by a projection; None for the encoder's width.
    temperatures: By which scores are divided. Of several the one is taken
      that is best on dev queries after `tuning_steps`.
    tuning_steps: Steps that each temperature is tried for; None for a tenth
      of the run's. See `trial`.
    negatives: Hard negatives of each text; None for the batch's documents
      alone.
    batch_size: Texts a step; each is compared with the documents of all.
    optimizer: Adafactor or AdamW and their settings.
    dev: In-loop evaluation; None trains without it.
    input_length: Longest query in tokens when searching.
    document_length: Longest document in tokens, always.
    mesh: How the work is split over the devices of this process.
    seed: Of parameters, dropout, order of examples and negatives.
    encoder_weights: As in `train_config`.
    input_embeddings: As there.
    dense_start: Not used, there being no head; files of models set it.
    lexical_start: As there, for the lexical vectors alone.
    initial_checkpoint: As there, for the encoder alone.
    cache_states: As there, of texts and of documents.
    allow_other_topology: As there.
    memorised_pairs: As there: a pair is known when its document comes first.
  """

  model: T5Config
  mixture: Any
  loop: LoopConfig
  scoring: Scoring = "mean"
  dim: int | None = None
  temperatures: tuple[float, ...] = (0.05,)
  tuning_steps: int | None = None
  negatives: HardNegatives | None = None
  batch_size: int = 128
  optimizer: Adafactor | AdamW = Adafactor()
  dev: DevConfig | None = DevConfig()
  input_length: int = 64
  document_length: int = 128
  mesh: MeshShape = MeshShape()
  seed: int = 0
  encoder_weights: Callable[[], PretrainedEncoder] | None = None
  input_embeddings: Callable[[], PieceVectors] | None = None
  dense_start: DenseStart = DenseStart()
  lexical_start: LexicalStart | None = None
  initial_checkpoint: str | Path | None = None
  cache_states: bool = False
  allow_other_topology: bool = False
  memorised_pairs: int = 0

  def __post_init__(self):
    object.__setattr__(self, "temperatures", tuple(self.temperatures))
    if not self.temperatures or min(self.temperatures) <= 0:
      raise ConfigError(
        f"temperatures are {self.temperatures}; expected numbers over 0, one"
        " or more."
      )
    if len(self.temperatures) > 1 and self.dev is None:
      raise ConfigError(
        "Of several temperatures the best on dev queries is taken, and"
        " TrainConfig.dev is None. Give one temperature, or dev queries."
      )
    for name in ("dim", "tuning_steps"):
      value = getattr(self, name)
      if value is not None and value < 1:
        raise ConfigError(f"{name} is {value}; expected 1 or more, or None.")
    encoder = self.model.encoder
    longest = max(self.input_length, self.document_length)
    if encoder and longest > encoder.bert.max_positions:
      raise ConfigError(
        f"Texts of {longest} tokens are longer than the"
        f" {encoder.bert.max_positions} positions that the encoder knows: see"
        " input_length and document_length."
      )

  @property
  def trial_steps(self) -> int:
    """Steps that a temperature is tried for."""
    return self.tuning_steps or max(self.loop.train_steps // TRIALS_IN_A_RUN, 1)

  @property
  def trial(self) -> "TrainConfig":
    """The run in little, that a temperature is tried by.

    Its learning rate decays over its own steps, of which at most a quarter
    are warm-up: those of the run would be as long as the trial.
    """
    steps, schedule = self.trial_steps, self.optimizer.schedule
    warmup = min(schedule.warmup_steps, steps // 4)
    return dataclasses.replace(
      self,
      loop=dataclasses.replace(self.loop, train_steps=steps, eval_every=steps),
      optimizer=dataclasses.replace(
        self.optimizer,
        schedule=dataclasses.replace(schedule, warmup_steps=warmup),
      ),
    )

  def spec(self, docnos: str) -> DualSpec:
    """Returns what a search must know of the model, at the first temperature.

    Args:
      docnos: Checksum of the documents' names.
    """
    return DualSpec(
      model=self.model.plain,
      scoring=self.scoring,
      dim=self.dim,
      temperature=self.temperatures[0],
      input_length=self.input_length,
      document_length=self.document_length,
      docnos=docnos,
      dev_measure=self.dev.measure if self.dev else None,
    )


_NOT_OF_THE_MODEL = {
  "mixture",
  "mesh",
  "seed",
  "allow_other_topology",
  "memorised_pairs",
  "dense_start",
  # Inputs, by their identities.
  "initial_checkpoint",
  "encoder_weights",
  "input_embeddings",
}


def recipe(
  config: TrainConfig, *, mixture: str, inputs: Mapping[str, str]
) -> artifacts.Recipe:
  """What sets this run apart from another, without paths and devices."""
  arguments = {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(config)
    if field.name not in _NOT_OF_THE_MODEL
  }
  if len(config.temperatures) == 1:
    del arguments["tuning_steps"]
  if not config.cache_states:
    del arguments["cache_states"]
  arguments["model"] = config.model.plain
  return artifacts.Recipe(
    stage=STAGE,
    arguments={**arguments, "mixture": mixture},
    seed=config.seed,
    inputs=inputs,
  )
