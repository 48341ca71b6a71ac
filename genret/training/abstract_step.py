"""A training step as shapes: to be counted or compiled, never run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from genret.models.flops import flops
from genret.models.t5 import T5
from genret.training.fitting import LONG, Split, Step
from genret.training.partitioning import MeshShape
from genret.training.step import Batch, Program


def program(step: Step, split: Split, mesh: Mesh) -> Program:
  """Returns the program that takes such steps.

  Args:
    step: The model, optimizer and batch.
    split: How it is spread.
    mesh: Where; of the split, or of fewer devices.
  """
  config = dataclasses.replace(step.config, remat=split.remat)
  return Program(
    model=T5(config),
    num_symbols=config.num_symbols,
    optimizer=step.optimizer.build(LONG),
    loss=step.loss,
    seed=0,
    mesh=mesh,
    rules=split.mesh.rules,
    accumulate=split.accumulate,
  )


def batch(step: Step, sharding: NamedSharding | None = None) -> Batch:
  """Returns the shapes of a packed batch."""
  return {
    name: jax.ShapeDtypeStruct(shape, jnp.int32, sharding=sharding)
    for name, shape in step.features.items()
  }


def step_flops(step: Step, split: Split) -> int:
  """Counts the operations of a step, on all devices together.

  Args:
    step: The model, optimizer and batch.
    split: How it is spread; what layers make again is counted again.
  """
  devices = np.asarray(jax.devices()[:1]).reshape(1, 1)
  alone = Split(num_devices=1, mesh=MeshShape(), remat=split.remat)
  traced = program(step, alone, Mesh(devices, ("data", "model")))
  return flops(traced.step, traced.abstract_state(), batch(step))
