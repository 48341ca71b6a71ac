"""Trains a little, with dev queries, in as many processes as are started."""

import dataclasses
import sys
from pathlib import Path

from genret.core.collection import Collection
from genret.stages import train
from genret.training.loop import LoopConfig
from genret.training.partitioning import MeshShape

STEPS = 24
EVERY = 8


def main(collection: str, docids: str, out: str, *more: str) -> None:
  """Trains with dropout; `more` may ask for another topology."""
  sys.path.insert(0, str(Path(__file__).parent))
  from train_test import CONFIG, MODEL

  config = dataclasses.replace(
    CONFIG,
    model=dataclasses.replace(MODEL, dropout_rate=0.1, vocab_size=32_128),
    loop=LoopConfig(
      train_steps=STEPS, eval_every=EVERY, checkpoint_every=EVERY, log_every=1
    ),
    dev=train.DevConfig(num_beams=2),
    mesh=MeshShape(model=2, fully_sharded=True),
    allow_other_topology="other" in more,
  )
  train.run(
    config, Collection.open(Path(collection)), Path(docids), out=Path(out)
  )


if __name__ == "__main__":
  main(*sys.argv[1:])
