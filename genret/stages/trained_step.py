"""The training step of a finished model folder, as shapes, to be counted.

Its manifest says what a step was: the optimizer, the loss, the rows. How the
machine did the work (parts of a batch, what was made again) it leaves out, and
so does the count.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from genret.core import artifacts
from genret.models import flops_formula
from genret.models.sizes import T5Config
from genret.retrieval.model_folder import ModelSpec
from genret.stages.account import CountedStep
from genret.training import abstract_step
from genret.training.fitting import Split, Step
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor, AdamW, Optimizer
from genret.training.partitioning import MeshShape
from genret.training.sampled import Sampled

ALONE = Split(num_devices=1, mesh=MeshShape())


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedStep(CountedStep):
  """What a step of a finished run reads and does.

  Attributes:
    step: The model, optimizer and rows.
    cached_states: Whether states of a frozen encoder were read from disk.
  """

  step: Step
  cached_states: bool = False

  @classmethod
  def of(cls, folder: Path) -> "TrainedStep":
    """Reads the manifest of a model folder.

    Raises:
      ArtifactError: If the run is not finished.
    """
    found = artifacts.load(folder).arguments
    lengths = found["task_feature_lengths"]
    step = Step(
      config=ModelSpec.load(folder).model,
      optimizer=optimizer_of(found["optimizer"]),
      loss=_loss(found["loss"]),
      batch_size=found["batch_size"],
      input_length=lengths["inputs"],
      target_length=lengths["targets"],
    )
    return cls(step=step, cached_states=found.get("cache_states", False))

  @property
  def rows(self) -> int:
    """Of a batch."""
    return self.step.batch_size

  def formula(self) -> int:
    """Returns 6 a parameter and token, or what is left of a frozen encoder.

    A consistency loss reads a batch twice.
    """
    return formula(
      self.step.config,
      rows=self.step.batch_size,
      lengths={
        "inputs": self.step.input_length,
        "targets": self.step.target_length,
      },
      cached_states=self.cached_states,
      passes=2 if self.step.loss.consistency else 1,
    )

  def program(self) -> tuple[Any, ...]:
    """Returns the step and the shapes of its arguments."""
    devices = np.asarray(jax.devices()[:1]).reshape(1, 1)
    mesh = Mesh(devices, ("data", "model"))
    program = abstract_step.program(self.step, ALONE, mesh)
    return program.step, program.abstract_state(), self._batch()

  def _batch(self) -> dict[str, jax.ShapeDtypeStruct]:
    batch = dict(abstract_step.batch(self.step))
    encoder = self.step.config.encoder
    if encoder is not None:  # it counts positions from the start of each text
      tokens = batch["encoder_input_tokens"]
      batch["encoder_positions"] = tokens
      if self.cached_states:
        shape = (*tokens.shape, encoder.bert.emb_dim)
        batch["encoder_states"] = jax.ShapeDtypeStruct(shape, jnp.float16)
    return batch


def formula(
  config: T5Config,
  *,
  rows: int,
  lengths: Mapping[str, int],
  cached_states: bool,
  passes: int = 1,
) -> int:
  """Returns the operations of a step by `flops_formula.step`.

  Args:
    config: Of the model, its docids known.
    rows: Of a batch.
    lengths: Of a row, `inputs` and `targets`.
    cached_states: Whether states of a frozen encoder are read from disk.
    passes: Times that a batch is read.
  """
  return passes * flops_formula.step(
    flops_formula.multiplied(config),
    rows=rows,
    input_length=lengths["inputs"],
    target_length=lengths["targets"],
    docid_length=config.docid_length or lengths["targets"],
    encoder_passes=encoder_passes(config, cached_states),
  )


def encoder_passes(config: T5Config, cached_states: bool) -> int:
  """Returns the operations of a step for a parameter and token.

  Args:
    config: Of the model.
    cached_states: Whether states of a frozen encoder are read from disk.
  """
  if cached_states:
    return 0
  encoder = config.encoder
  if encoder and encoder.frozen_below == encoder.bert.num_layers:
    return flops_formula.FORWARD
  return flops_formula.TRAINING


def optimizer_of(found: Mapping[str, Any]) -> Optimizer:
  """Returns the optimizer whose settings a manifest has.

  Their values do not matter to what a step costs, but for which there are.

  Args:
    found: Without the name of the optimizer, which manifests leave out.
  """
  kinds = (Adafactor, AdamW)
  names = {kind: {f.name for f in dataclasses.fields(kind)} for kind in kinds}
  kind = max(kinds, key=lambda kind: len(names[kind] & found.keys()))
  plain = {k: v for k, v in found.items() if k in names[kind]}
  return kind(**{k: v for k, v in plain.items() if k != "schedule"})


def _loss(found: Mapping[str, Any]) -> Loss:
  head = found.get("head")
  sample = Sampled(**head) if isinstance(head, Mapping) else None
  return Loss(**{**found, "head": sample})
