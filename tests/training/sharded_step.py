"""Compares steps on many meshes with steps on one device; prints JSON.

  sharded_step.py 8 checkpoint-to-write|- checkpoint-to-read|-

compares on meshes of the first 8 of this process's virtual devices, or of all
processes' where several are joined.
"""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from genret.training import cluster, partitioning
from genret.training.optimizers import Adafactor, Schedule
from genret.training.partitioning import MeshShape

SHAPES = {
  "data": MeshShape(),
  "model": MeshShape(model=2),
  "fully sharded": MeshShape(fully_sharded=True),
  "all": MeshShape(model=2, fully_sharded=True),
}
STEPS = 10
ADAFACTOR = Adafactor(
  schedule=Schedule(peak=0.05, warmup_steps=0), min_dim_size_to_factor=8
)


class Sgd:
  """Plain descent: adaptive steps flip sign where a gradient is near zero."""

  def build(self, train_steps):
    return optax.sgd(0.1)


def mesh_of(shape, devices) -> Mesh:
  sizes = shape.sizes(len(devices))
  return Mesh(np.asarray(devices).reshape(*sizes.values()), tuple(sizes))


def placed(batch, mesh):
  sharding = partitioning.batch_sharding(mesh)
  return {
    name: jax.make_array_from_callback(rows.shape, sharding, rows.__getitem__)
    for name, rows in batch.items()
  }


def fetched(tree, mesh):
  whole = partitioning.replicated(mesh)
  return jax.device_get(jax.jit(lambda x: x, out_shardings=whole)(tree))


def one_step(program, batch):
  """Returns gradients and parameters after a step of descent."""
  state = program.init_state()
  before = fetched(state.params, program.mesh)
  state, _ = program.compile_step(state)(state, placed(batch, program.mesh))
  after = fetched(state.params, program.mesh)
  return jax.tree.map(lambda a, b: (a - b) / 0.1, before, after), after


def many_steps(program, batch):
  """Returns the losses of Adafactor's steps, and its placed state."""
  program = dataclasses.replace(program, optimizer=ADAFACTOR.build(100))
  state = program.init_state()
  first = state
  step, found = program.compile_step(state), []
  batch = placed(batch, program.mesh)
  shards = shares(first)
  for _ in range(STEPS):
    state, metrics = step(state, batch)
    found.append(float(metrics.loss))
  return found, shards


def shares(state) -> dict[str, float]:
  """Returns how much of parameters and moments a device holds."""

  def share(tree):
    leaves = jax.tree.leaves(tree)
    held = sum(np.prod(x.sharding.shard_shape(x.shape)) for x in leaves)
    return float(held / sum(x.size for x in leaves))

  return {"params": share(state.params), "moments": share(state.opt_state)}


def furthest(a, b) -> float:
  distances = jax.tree.map(lambda x, y: float(np.abs(x - y).max()), a, b)
  return max(jax.tree.leaves(distances))


def main(counts: str, *folders: str):
  sys.path.insert(0, str(Path(__file__).parent))
  cluster.join()
  from conftest import CONFIG, make_batch, make_program

  config = dataclasses.replace(CONFIG, dropout_rate=0.0, head_multiple=16)
  batch = make_batch()
  one = [jax.local_devices()[0]]
  single = dataclasses.replace(
    make_program(Sgd(), config=config), mesh=mesh_of(MeshShape(), one)
  )
  gradients, parameters = one_step(single, batch)
  losses, _ = many_steps(single, batch)
  report = {"losses": losses, "meshes": {}}
  for count in map(int, counts.split(",")):
    for name, shape in SHAPES.items():
      if name == "all" and count == 2:
        continue
      program = dataclasses.replace(
        single, mesh=mesh_of(shape, jax.devices()[:count]), rules=shape.rules
      )
      found = one_step(program, batch)
      entry = {
        "gradients": furthest(found[0], gradients),
        "parameters": furthest(found[1], parameters),
      }
      if name in ("data", "all"):
        found, shards = many_steps(program, batch)
        distance = max(
          abs(a - b) / b for a, b in zip(found, losses, strict=True)
        )
        entry |= {"losses": distance, **shards}
      report["meshes"][f"{count} {name}"] = entry
  print(json.dumps(report))


if __name__ == "__main__":
  main(*sys.argv[1:])
