"""Settings of a run that trains a generator of queries."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from genret.core.errors import ConfigError
from genret.embeddings.minilm import PretrainedEncoder
from genret.embeddings.pieces import PieceVectors
from genret.models.t5 import T5Config
from genret.querygen import folds as folds_lib
from genret.querygen.generator import GeneratorSpec
from genret.tasks.packing import RowLengths
from genret.tasks.reversed import PairConfig
from genret.training.loop import LoopConfig
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor, AdamW
from genret.training.partitioning import MeshShape


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
  """Everything that training a generator depends on.

  Attributes:
    model: The T5's shape; it writes text, and reads what its encoder reads.
    loop: Steps and intervals, of each model.
    pairs: How pairs are read.
    folds: Of documents. A model is trained for each, on the pairs of all
      other documents; with 1 there is one model, for all documents.
    held_out_share: Of the documents that a model may see; what its loss is
      measured on, which chooses its best state. Never of its own fold.
    task_feature_lengths: Of a row, {"inputs": L, "targets": T}.
    pack: Whether a row holds several pairs.
    batch_size: Rows a step, of all processes together.
    optimizer: Adafactor or AdamW and their settings.
    loss: Smoothing, z-loss, and how the head is computed.
    eval_rows: Rows of held-out pairs that the loss is measured on; a batch
      at least.
    dtype: Of the weights that are written at the end, "float32" or
      "bfloat16".
    mesh: How the work is split over devices.
    accumulate: Parts that a batch is taken in, one after another.
    seed: Of parameters, dropout and order; of fold f, this and f.
    initial_checkpoint: Weights to start from: a folder of `genret convert`
      or `genret pretrain`, or a model folder whose docids are text.
    encoder_weights: Loads the weights of the model's sentence encoder.
    input_embeddings: Loads vectors for the text embedding.
    cache_states: Whether what a frozen encoder makes of the documents is
      computed once for each fold, before its first step.
    allow_other_topology: Whether to go on from a checkpoint whose input was
      in another number of shards.
  """

  model: T5Config
  loop: LoopConfig
  pairs: PairConfig = PairConfig()
  folds: int = 5
  held_out_share: float = 0.05
  task_feature_lengths: Mapping[str, int] = dataclasses.field(
    default_factory=lambda: {"inputs": 512, "targets": 128}
  )
  pack: bool = True
  batch_size: int = 32
  optimizer: Adafactor | AdamW = Adafactor()
  loss: Loss = Loss()
  eval_rows: int = 256
  dtype: Literal["float32", "bfloat16"] = "float32"
  mesh: MeshShape = MeshShape()
  accumulate: int = 1
  seed: int = 0
  initial_checkpoint: str | Path | None = None
  encoder_weights: Callable[[], PretrainedEncoder] | None = None
  input_embeddings: Callable[[], PieceVectors] | None = None
  cache_states: bool = False
  allow_other_topology: bool = False

  def __post_init__(self):
    if self.model.docid_vocab_size is not None:
      raise ConfigError(
        "A generator writes text; this model has docids of its own. Leave"
        " docid_vocab_size away."
      )
    folds_lib.check(self.folds)
    if not 0 < self.held_out_share < 1:
      raise ConfigError(
        f"held_out_share lies between 0 and 1; {self.held_out_share} came."
      )
    for name, least in (("batch_size", 1), ("eval_rows", 1), ("seed", 0)):
      if getattr(self, name) < least:
        raise ConfigError(
          f"{name} is {getattr(self, name)}; expected {least} or more."
        )
    if self.accumulate < 1 or self.batch_size % self.accumulate:
      raise ConfigError(
        f"accumulate is {self.accumulate}; expected a divisor of the"
        f" batch_size, {self.batch_size}."
      )
    encoder = self.model.encoder
    if encoder and self.pairs.inputs_length > encoder.bert.max_positions:
      raise ConfigError(
        f"Documents of inputs_length {self.pairs.inputs_length} are longer than"
        f" the {encoder.bert.max_positions} positions that the encoder knows."
      )

  @property
  def row(self) -> RowLengths:
    """How long rows are."""
    return RowLengths(**self.task_feature_lengths)

  @property
  def spec(self) -> GeneratorSpec:
    """What writing queries needs to know."""
    return GeneratorSpec(
      folds=self.folds,
      title=self.pairs.title,
      grades=self.pairs.grades,
      inputs_length=self.pairs.inputs_length,
      targets_length=self.pairs.targets_length,
    )


def arguments(config: GeneratorConfig) -> dict[str, Any]:
  """Returns what sets a run apart: see the recipe of training."""
  skipped = {"mesh", "seed", "accumulate", "allow_other_topology"}
  # Inputs, by their identities.
  skipped |= {"initial_checkpoint", "encoder_weights", "input_embeddings"}
  found = {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(config)
    if field.name not in skipped
  }
  found["model"] = config.model.plain
  found["loss"] = dataclasses.replace(config.loss, head=None)
  return found
