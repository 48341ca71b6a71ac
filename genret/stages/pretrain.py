"""The pre-training stage: texts of collections in, the weights of a T5 out."""

import dataclasses
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jax.sharding import Mesh

from genret.core import artifacts, atomic
from genret.core.collection import Collection
from genret.core.errors import ConfigError
from genret.interop import weights
from genret.models.t5 import T5, T5Config
from genret.stages import held_out, trained
from genret.stages.train import CONFIG, NO_TEXT, OPERATIVE_CONFIG, ConfigText
from genret.tasks import texts
from genret.tasks.span_corruption import SpanCorruption
from genret.tasks.text_stream import TextBatches
from genret.tasks.texts import TextConfig, Texts
from genret.training import cluster, partitioning
from genret.training.checkpoints import Checkpoints
from genret.training.loop import Loop, LoopConfig
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor, AdamW, Schedule
from genret.training.partitioning import MeshShape
from genret.training.step import Program

CHECKPOINTS = "checkpoints"
TEXTS = "texts"
SUMMARY = "summary.json"
# The files whose bytes are the same for the same run.
_IDENTIFYING = (
  weights.HEADER,
  weights.PARAMETERS,
  trained.RESULT,
  SUMMARY,
  held_out.CURVE,
)

T5_SCHEDULE = Schedule(peak=0.01, warmup_steps=500, decay="rsqrt")
"""As T5's, 1 / sqrt(10,000) for 10,000 steps and then 1 / sqrt(step), but that
it rises to the peak, and in fewer steps."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainConfig:
  """Everything a run of pre-training depends on.

  Attributes:
    model: The T5's shape, without docids of its own.
    loop: Steps and intervals.
    texts: Which documents are read.
    corruption: How texts are corrupted.
    inputs_length: Ids that the encoder reads; the length of targets, and that
      of the text that makes them, follow from it.
    batch_size: Rows a step, of all processes together.
    optimizer: Adafactor or AdamW and their settings.
    loss: Smoothing, z-loss, and how the head is computed.
    eval_rows: Rows of held-out text that the loss is measured on; a batch
      at least.
    dtype: Of the weights that are written at the end, "float32" or
      "bfloat16", which is half the size.
    mesh: How the work is split over devices.
    accumulate: Parts that a batch is taken in, one after another.
    seed: Of parameters, dropout, order and noise.
    allow_other_topology: Whether to go on from a checkpoint whose input was
      in another number of shards. Rows are the same, dropout is not.
  """

  model: T5Config
  loop: LoopConfig
  texts: TextConfig = TextConfig()
  corruption: SpanCorruption = SpanCorruption()
  inputs_length: int = 512
  batch_size: int = 128
  optimizer: Adafactor | AdamW = Adafactor(schedule=T5_SCHEDULE)
  loss: Loss = Loss()
  eval_rows: int = 512
  dtype: Literal["float32", "bfloat16"] = "float32"
  mesh: MeshShape = MeshShape()
  accumulate: int = 1
  seed: int = 0
  allow_other_topology: bool = False

  def __post_init__(self):
    if self.model.docid_vocab_size is not None or self.model.encoder:
      raise ConfigError(
        "Span corruption trains a T5 that reads and writes text; this model has"
        " docids or an encoder of its own. Leave docid_vocab_size and encoder"
        " away."
      )
    if self.dtype not in ("float32", "bfloat16"):
      raise ConfigError(
        f"dtype is {self.dtype!r}; weights are written in 'float32' or"
        " 'bfloat16'."
      )
    for name in ("batch_size", "seed"):
      least = 0 if name == "seed" else 1
      if getattr(self, name) < least:
        raise ConfigError(
          f"{name} is {getattr(self, name)}; expected {least} or more."
        )
    if self.eval_rows < 1:
      raise ConfigError(f"eval_rows is {self.eval_rows}; expected 1 or more.")
    if self.accumulate < 1 or self.batch_size % self.accumulate:
      raise ConfigError(
        f"accumulate is {self.accumulate}; expected a divisor of the"
        f" batch_size, {self.batch_size}."
      )
    self.corruption.lengths(self.inputs_length)


def run(
  config: PretrainConfig,
  collections: Sequence[Path],
  *,
  out: Path,
  text: ConfigText = NO_TEXT,
) -> Path:
  """Trains to the last step, going on from the newest whole checkpoint.

  Several processes take part as in `genret.stages.train`.

  Args:
    config: The run.
    collections: Folders of prepared collections, whose documents are read.
    out: The artifact's folder, new or of this very run.
    text: The gin text to keep beside the run.

  Returns:
    The folder, which is weights that training may start from: those of the
    checkpoint with the lowest held-out loss. A run that is already finished
    is left as it is.

  Raises:
    ArtifactError: If the folder belongs to another run; says what differs.
    ConfigError: If the texts are too few for a row.
    DivergedError: If the loss stops being a number.
  """
  cluster.join()
  with cluster.together(out):
    return _run(config, collections, out=Path(out), text=text)


def _run(
  config: PretrainConfig,
  folders: Sequence[Path],
  *,
  out: Path,
  text: ConfigText,
) -> Path:
  collections = [Collection.open(Path(f).expanduser()) for f in folders]
  texts.check(collections, config.texts)
  recipe = _recipe(config, collections)
  started = time.time()
  mesh = config.mesh.build()
  partitioning.check_rows(config.batch_size, mesh, parts=config.accumulate)
  program = _program(config, mesh)
  if cluster.once(lambda: artifacts.begin(out, recipe) is not None):
    cluster.once(lambda: _forget_texts(out))
    return out
  cluster.once(lambda: _lay_out(config, collections, out, text=text))
  chosen = Texts.load(out / TEXTS)
  if cluster.is_first():
    print(chosen.describe())
  checkpoints = Checkpoints(out / CHECKPOINTS, measure=held_out.MEASURE)
  feed = _batches(config, chosen.train, mesh)
  loop = Loop(
    program=program,
    feed=feed,
    checkpoints=checkpoints,
    config=config.loop,
    evaluate=held_out.evaluation(
      program,
      _batches(config, chosen.held_out, mesh),
      rows=config.eval_rows,
      curve=held_out.Curve(
        path=out / held_out.CURVE,
        tokens_a_step=config.batch_size * feed.lengths.raw,
      ),
    ),
    folder=out,
    label=out.name,
    other_topology=config.allow_other_topology,
  )
  loop.run()
  checkpoints.wait()

  def seal() -> None:
    trained.write_weights(
      out, checkpoints, model=config.model, dtype=config.dtype
    )
    artifacts.seal(
      out,
      recipe,
      files=_IDENTIFYING,
      started=started,
      gin_text=text.operative,
    )
    _forget_texts(out)

  cluster.once(seal)
  checkpoints.close()
  return out


def _recipe(
  config: PretrainConfig, collections: Sequence[Collection]
) -> artifacts.Recipe:
  """What sets this run apart: see the recipe of training."""
  skipped = {"mesh", "seed", "accumulate", "allow_other_topology"}
  arguments = {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(config)
    if field.name not in skipped
  }
  arguments["model"] = config.model.plain
  arguments["loss"] = dataclasses.replace(config.loss, head=None)
  return artifacts.Recipe(
    stage=weights.PRETRAINED,
    arguments=arguments,
    seed=config.seed,
    inputs={
      f"collection_{number}": collection.identity
      for number, collection in enumerate(collections)
    },
    format_version=weights.FORMAT_VERSION,
  )


def _lay_out(
  config: PretrainConfig,
  collections: Sequence[Collection],
  out: Path,
  *,
  text: ConfigText,
) -> None:
  """Writes all that is known before training."""
  atomic.fill(
    out / TEXTS,
    lambda folder: texts.write(folder, collections, config.texts),
  )
  summary = {"texts": Texts.load(out / TEXTS).summary}
  artifacts.write_json(out / SUMMARY, summary)
  artifacts.write_text(out / CONFIG, text.given)
  artifacts.write_text(out / OPERATIVE_CONFIG, text.operative)


def _program(config: PretrainConfig, mesh: Mesh) -> Program:
  return Program(
    model=T5(config.model),
    num_symbols=config.model.num_symbols,
    optimizer=config.optimizer.build(config.loop.train_steps),
    loss=config.loss,
    seed=config.seed,
    mesh=mesh,
    rules=config.mesh.rules,
    accumulate=config.accumulate,
  )


def _batches(
  config: PretrainConfig, text: texts.Text, mesh: Mesh
) -> TextBatches:
  """Opens this process's rows of every batch."""
  shard = partitioning.input_shard(mesh)
  return TextBatches(
    text,
    inputs_length=config.inputs_length,
    batch_size=config.batch_size // shard.count,
    corruption=config.corruption,
    seed=config.seed,
    shard=shard.index,
    num_shards=shard.count,
  )


def _forget_texts(out: Path) -> None:
  """Removes the tokenised texts, which a finished run needs no more."""
  shutil.rmtree(out / TEXTS, ignore_errors=True)
