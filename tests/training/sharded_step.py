"""Compares one SGD step on a 4 x 2 mesh with one on a single device."""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from genret.training import partitioning


class Sgd:
  """Plain descent: adaptive steps flip sign where a gradient is near zero."""

  def build(self, train_steps):
    return optax.sgd(0.1)


def one_step(program, batch):
  batch = jax.device_put(batch, partitioning.batch_sharding(program.mesh))
  state = program.init_state()
  split = sum(
    not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(state)
  )
  before = jax.device_get(state.params)
  state, _ = program.compile_step(state)(state, batch)
  after = jax.device_get(state.params)
  gradients = jax.tree.map(lambda a, b: (a - b) / 0.1, before, after)
  return gradients, after, split


def furthest(a, b) -> float:
  distances = jax.tree.map(lambda x, y: float(np.abs(x - y).max()), a, b)
  return max(jax.tree.leaves(distances))


def main():
  sys.path.insert(0, str(Path(__file__).parent))
  from conftest import CONFIG, make_batch, make_program

  config = dataclasses.replace(CONFIG, dropout_rate=0.0, head_multiple=16)
  sharded = make_program(Sgd(), model=2, config=config)
  single = dataclasses.replace(
    sharded,
    mesh=Mesh(np.asarray(jax.devices()[:1]).reshape(1, 1), ("data", "model")),
  )
  gradients, parameters, split = one_step(sharded, make_batch())
  expected_gradients, expected_parameters, _ = one_step(single, make_batch())
  print(
    json.dumps(
      {
        "devices": jax.device_count(),
        "split": split,
        "gradients": furthest(gradients, expected_gradients),
        "parameters": furthest(parameters, expected_parameters),
      }
    )
  )


if __name__ == "__main__":
  main()
