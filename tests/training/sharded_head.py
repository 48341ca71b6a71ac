"""Compares the head's loss split over meshes with that on one device."""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding

from genret.training import (
  chunked,
  dense_start,
  losses,
  partitioning,
  sampled,
)
from genret.training.chunked import Chunked
from genret.training.dense_start import DenseStart
from genret.training.head_layout import WHOLE, Layout
from genret.training.losses import Loss, Plain
from genret.training.partitioning import MeshShape
from genret.training.sampled import Sampled

DIM, ROWS = 16, 16
LOSS = Loss(label_smoothing=0.1, z_loss=1e-2)
ALL_RULES = {
  "split": MeshShape().rules,
  "fully sharded": MeshShape(fully_sharded=True).rules,
}


def inputs(width, rows=ROWS):
  rng = np.random.default_rng(0)
  return (
    rng.normal(size=(rows, DIM)).astype(np.float32),
    rng.normal(size=(DIM, width)).astype(np.float32),
    rng.integers(0, width - 3, rows).astype(np.int32),
  )


def total(hidden, kernel, targets, *, layout):
  scores = chunked.score(
    hidden,
    kernel,
    targets,
    num_symbols=kernel.shape[1] - 3,
    with_mean=True,
    size=20,
    layout=layout,
  )
  sums = losses.sums(scores, jnp.ones(len(targets)), loss=LOSS)
  return sums.total, sums.correct


def drawn(hidden, kernel, targets, *, layout):
  del layout  # XLA's partitioner places it.
  scores = sampled.score(
    hidden,
    kernel,
    targets,
    num_symbols=kernel.shape[1] - 3,
    with_mean=True,
    how=Sampled(negatives=50),
    key=jax.random.key(0),
  )
  sums = losses.sums(scores, jnp.ones(len(targets)), loss=LOSS)
  return sums.total, sums.correct


def gradients(function, arrays, layout, placement=None):
  both = jax.value_and_grad(
    lambda *args: function(*args, layout=layout), argnums=(0, 1), has_aux=True
  )
  if placement is None:
    return jax.jit(both)(*arrays)
  arrays = jax.device_put(arrays, placement)
  return jax.jit(both)(*arrays)


def compare(function, arrays, mesh, rules):
  hidden, kernel, _ = arrays
  layout = Layout.of(mesh, rules=rules, hidden=hidden, kernel=kernel)
  placement = tuple(
    NamedSharding(mesh, spec)
    for spec in (layout.of_rows, layout.of_kernel, layout.of_rows)
  )
  (value, hits), (for_hidden, for_kernel) = gradients(
    function, arrays, layout, placement
  )
  (expected, expected_hits), wanted = gradients(function, arrays, WHOLE)
  shard = for_kernel.addressable_shards[0].data.shape
  return {
    "split": [a // b for a, b in zip(kernel.shape, shard, strict=True)],
    "expected_split": [
      mesh.shape[axis] if axis else 1 for axis in (layout.depth, layout.columns)
    ],
    "value": abs(float(value - expected)) / abs(float(expected)),
    "for_hidden": float(np.abs(for_hidden - wanted[0]).max()),
    "for_kernel": float(np.abs(for_kernel - wanted[1]).max()),
    "same_hits": float(hits) == float(expected_hits),
  }


def dense(mesh, rules):
  _, kernel, _ = inputs(128)
  layout = Layout.of(mesh, rules=rules, hidden=jnp.zeros((8, 1)), kernel=kernel)
  placement = NamedSharding(mesh, layout.of_kernel)
  vectors = np.random.default_rng(3).normal(size=(100, 24)).astype(np.float32)
  found, expected = (
    dense_start.start(start, np.arange(2, 102), vectors, how=DenseStart())
    for start in (jax.device_put(kernel, placement), jnp.asarray(kernel))
  )
  return {
    "same_split": found.sharding.is_equivalent_to(placement, 2),
    "furthest": float(np.abs(np.asarray(found) - np.asarray(expected)).max()),
  }


def meshes():
  devices = np.asarray(jax.devices())
  for data, model in ((8, 1), (4, 2), (1, 8)):
    yield (
      f"{data}x{model}",
      Mesh(devices.reshape(data, model), ("data", "model")),
    )


class Sgd:
  """Plain descent: a step is a multiple of the gradient."""

  def build(self, train_steps):
    return optax.sgd(0.1)


def step_apart():
  """How far a step in chunks, fully sharded, is from a plain one."""
  sys.path.insert(0, str(Path(__file__).parent))
  from conftest import CONFIG, make_batch, make_program

  config = dataclasses.replace(CONFIG, dropout_rate=0.0, head_multiple=16)
  shape = MeshShape(model=2, fully_sharded=True)
  one = Mesh(np.asarray(jax.devices()[:1]).reshape(1, 1), ("data", "model"))
  program = make_program(Sgd(), config=config)
  after = []
  for changes in (
    {"mesh": one, "loss": Loss(head=Plain())},
    {
      "mesh": shape.build(),
      "rules": shape.rules,
      "loss": Loss(head=Chunked(size=3)),
    },
  ):
    program = dataclasses.replace(program, **changes)
    state = program.init_state()
    batch = jax.device_put(
      make_batch(), partitioning.batch_sharding(program.mesh)
    )
    state, _ = program.compile_step(state)(state, batch)
    after.append(jax.device_get(state.params))
  apart = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), *after)
  return max(jax.tree.leaves(apart))


def main():
  report = {"step apart": step_apart()}
  for name, mesh in meshes():
    report[name] = {
      kind: compare(total, inputs(128), mesh, rules)
      for kind, rules in ALL_RULES.items()
    }
    report[f"{name} sampled"] = {
      kind: compare(drawn, inputs(128), mesh, rules)
      for kind, rules in ALL_RULES.items()
    }
    report[f"{name} dense start"] = {
      kind: dense(mesh, rules) for kind, rules in ALL_RULES.items()
    }
  # Neither 13 rows nor 125 columns are divided by any axis.
  report["4x2 whole columns"] = {
    kind: compare(total, inputs(125, 13), dict(meshes())["4x2"], rules)
    for kind, rules in ALL_RULES.items()
  }
  print(json.dumps(report))


if __name__ == "__main__":
  sys.exit(main())
