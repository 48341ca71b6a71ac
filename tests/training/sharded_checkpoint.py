"""Writes a checkpoint on one mesh, or reads one on another; prints JSON.

sharded_checkpoint.py write|read FOLDER
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

from genret.training import cluster, partitioning
from genret.training.checkpoints import Checkpoints
from genret.training.optimizers import Adafactor, Schedule
from genret.training.partitioning import MeshShape


def main(what: str, folder: str) -> None:
  sys.path.insert(0, str(Path(__file__).parent))
  cluster.join()
  from conftest import make_program

  shape = MeshShape(model=1 if jax.device_count() == 1 else 2)
  program = make_program(
    Adafactor(
      schedule=Schedule(peak=0.05, warmup_steps=0), min_dim_size_to_factor=8
    ),
    model=shape.model,
  )
  checkpoints = Checkpoints(Path(folder), measure=None)
  if what == "write":
    state = program.init_state()
    checkpoints.save(state, position={"positions": [{}]}, metrics={})
  else:
    state = checkpoints.restore(program.abstract_state(), 0)
  checkpoints.close()
  alone = Checkpoints(Path(folder), measure=None, read_only=True)
  print(
    json.dumps(
      {
        "state": sums(state, program.mesh),
        "params": sums(alone.restore_params(0)),
        "split": sum(
          not leaf.sharding.is_fully_replicated
          for leaf in jax.tree.leaves(state)
        ),
      }
    )
  )


def sums(tree, mesh: Mesh | None = None) -> list[float]:
  """Returns a sum for each leaf that tells its elements and order apart."""
  if mesh is not None:
    whole = partitioning.replicated(mesh)
    tree = jax.jit(lambda x: x, out_shardings=whole)(tree)
  return [
    float(np.ravel(leaf).astype(np.float64) @ np.arange(1, leaf.size + 1))
    for leaf in jax.tree.leaves(jax.device_get(tree))
  ]


if __name__ == "__main__":
  main(*sys.argv[1:])
