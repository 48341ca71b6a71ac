"""The settings of a run of training, and which of them tell runs apart."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from genret.core import artifacts
from genret.core.errors import ConfigError
from genret.embeddings.minilm import PretrainedEncoder
from genret.embeddings.pieces import PieceVectors
from genret.models.t5 import T5Config
from genret.stages.dev_queries import DevConfig
from genret.training.dense_start import DenseStart
from genret.training.lexical_start import LexicalStart
from genret.training.loop import LoopConfig
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor, AdamW
from genret.training.partitioning import MeshShape
from genret.training.sampled import Sampled

STAGE = "train"


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
    encoder_weights: Reads the weights that the model's sentence encoder starts
      from, as `minilm.int8` does; None starts it at random.
    input_embeddings: Looks up the vectors that T5's text embedding starts
      from, as `pieces.minilm` and `pieces.glove` do; None starts it at random.
    dense_start: How atomic docids start from the embeddings, where these are
      given.
    lexical_start: How lexical vectors and their part of the head start from
      the documents' own words; None starts them at random.
    initial_checkpoint: Folder of the weights to start from, of
      `genret convert` or a model folder; None starts at random. They must be
      of a T5 of this shape; docid parameters that they lack start at random.
      Once there is a checkpoint they are not read again.
    cache_states: Whether what a frozen part of the encoder makes of each
      input is computed once, before the first step, and read from disk in
      every step: two bytes for each number of each token. A token that is
      left out by chance is then left out of the states, and the others have
      read it. Rounded to float16, so results differ a little.
    allow_other_topology: Whether to go on, inexactly, from a checkpoint
      whose input was in another number of shards.
    memorised_pairs: How many training pairs are searched in the end with the
      checkpoint that searches use; `memorised.json` then has the share whose
      document comes first. 0 for none.
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
  encoder_weights: Callable[[], PretrainedEncoder] | None = None
  input_embeddings: Callable[[], PieceVectors] | None = None
  dense_start: DenseStart = DenseStart()
  lexical_start: LexicalStart | None = None
  initial_checkpoint: str | Path | None = None
  cache_states: bool = False
  allow_other_topology: bool = False
  memorised_pairs: int = 0

  def __post_init__(self):
    if self.accumulate < 1 or self.batch_size % self.accumulate:
      raise ConfigError(
        f"accumulate is {self.accumulate}; expected a divisor of the"
        f" batch_size, {self.batch_size}."
      )
    encoder = self.model.encoder
    if encoder and self.input_length > encoder.bert.max_positions:
      raise ConfigError(
        f"Queries of input_length {self.input_length} are longer than the"
        f" {encoder.bert.max_positions} positions that the encoder knows."
      )


def recipe(
  config: TrainConfig, *, mixture: str, inputs: Mapping[str, str]
) -> artifacts.Recipe:
  """What sets this run apart from another, without paths and devices.

  How the machine does the work is left out: the mesh, parts of a batch, what
  is made again, what is scanned, a head in chunks; a sample of the head trains
  something else, and so do cached states, where a token that is left out has
  been read by the others. A run that proves too large for its devices goes on
  with other ones. How the head starts counts where embeddings are given.
  """
  skipped = {"mixture", "mesh", "seed", "accumulate", "allow_other_topology"}
  skipped |= {"memorised_pairs"}  # nothing of the model depends on it
  # Inputs, by their identities.
  skipped |= {"initial_checkpoint", "encoder_weights", "input_embeddings"}
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
  for optional in ("lexical_start", "cache_states"):
    if not arguments[optional]:
      del arguments[optional]
  return artifacts.Recipe(
    stage=STAGE,
    arguments={**arguments, "mixture": mixture},
    seed=config.seed,
    inputs=inputs,
  )
