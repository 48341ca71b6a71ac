"""A step of a model of some kind on 4 x 2 devices and on one; prints JSON.

sharded_models.py encoder|pawa
"""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import numpy as np


def main(kind: str) -> None:
  sys.path.insert(0, str(Path(__file__).parent))
  import sharded_step
  from conftest import (
    ENCODED,
    PREFIX_AWARE,
    make_batch,
    make_program,
    of_levels,
  )

  shape = sharded_step.SHAPES["all"]
  encodes = kind == "encoder"
  config = ENCODED if encodes else PREFIX_AWARE
  config = dataclasses.replace(config, dropout_rate=0.0, head_multiple=16)
  program = make_program(sharded_step.Sgd(), config=config)
  alone, spread = (
    dataclasses.replace(
      program, mesh=sharded_step.mesh_of(shape, devices), rules=shape.rules
    )
    for shape, devices in (
      (sharded_step.SHAPES["data"], jax.devices()[:1]),
      (shape, jax.devices()),
    )
  )
  batch = make_batch() if encodes else of_levels(make_batch())
  ours, theirs = (sharded_step.one_step(one, batch) for one in (spread, alone))
  losses, shares = sharded_step.many_steps(spread, batch)
  expected, _ = sharded_step.many_steps(alone, batch)
  report = {
    "gradients": sharded_step.furthest(ours[0], theirs[0]),
    "parameters": sharded_step.furthest(ours[1], theirs[1]),
    "losses": float(np.max(np.abs(np.divide(losses, expected) - 1))),
    **shares,
  }
  print(json.dumps(report))


if __name__ == "__main__":
  main(*sys.argv[1:])
