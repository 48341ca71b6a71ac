"""Labelled examples a second: genret, packed, against torch, padded.

Both train the same T5 from the same weights on the same examples of the
embedded collection, with the same docids, dropout and optimizer (Adafactor).
genret packs them into rows of 128 tokens; torch gets one example a row, padded
to the longest of its batch, as `transformers` trainers do, at the batch size
that serves it best. Then, without a peer, the arms with MiniLM in the place
of T5's encoder, on the same examples in its own vocabulary.

  python tools/benchmarks/training.py --quick
"""

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
import peers
import reporting
import training_arms

from genret.core.collection import Collection
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.docids import naive
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import SIZES, T5, T5Config
from genret.stages import docids, prepare
from genret.stages.docids import DocidsConfig
from genret.stages.prepare import PrepareConfig
from genret.tasks import feed, mixtures
from genret.tasks.indexing import Sentences
from genret.tasks.retrieval import LabelledQueries
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor, Schedule
from genret.training.partitioning import MeshShape
from genret.training.step import Program

ROWS = 32  # packed rows a step


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  how = parser.add_mutually_exclusive_group()
  how.add_argument("--quick", action="store_true", help="under five minutes")
  how.add_argument("--full", action="store_true", help="more steps and sizes")
  full = parser.parse_args().full
  shapes = {"narrow": peers.NARROW, "tiny": SIZES["tiny"]}
  with tempfile.TemporaryDirectory() as folder:
    steps = 24 if full else 8
    collection, table = _data(Path(folder))
    batches = _batches(collection, table, steps=steps)
    checks = []
    for name, config in shapes.items():
      config = _with_docids(config, table)
      checks += _compare(name, config, batches)
    checks += _arms(collection, table, steps=steps)
  reporting.finish(
    checks, packages=("jax", "flax", "optax", "torch", "transformers")
  )


def _with_docids(config: T5Config, table: DocidTable) -> T5Config:
  return dataclasses.replace(
    config, docid_vocab_size=table.vocab_size, docid_length=table.length
  )


def _data(folder: Path) -> tuple[Collection, DocidTable]:
  prepare.run(PrepareConfig(), folder / "collection")
  collection = Collection.open(folder / "collection")
  table = docids.run(
    DocidsConfig(scheme=naive.fit), collection, None, out=folder / "docids"
  )
  return collection, table


def _batches(
  collection: Collection,
  table: DocidTable,
  *,
  steps: int,
  vocabulary: str = "t5",
) -> list[dict]:
  mixture = mixtures.build(
    collection,
    table,
    tasks=[LabelledQueries(rate=1.0), Sentences(rate=1.0)],
    input_length=64,
    vocabulary=vocabulary,
  )
  stream = feed.training_batches(
    mixture, lengths={"inputs": 128, "targets": 64}, batch_size=ROWS
  )
  return [dict(next(stream)) for _ in range(steps)]


def _program(config: T5Config) -> Program:
  return Program(
    model=T5(config),
    num_symbols=config.num_symbols,
    optimizer=Adafactor(schedule=Schedule(warmup_steps=0)).build(1),
    loss=Loss(z_loss=0.0),
    seed=0,
    mesh=MeshShape().build(),
  )


def _arms(
  collection: Collection, table: DocidTable, *, steps: int
) -> list[reporting.Check]:
  """Measures models with a sentence encoder."""
  try:
    batches = _batches(
      collection, table, steps=steps, vocabulary=EncoderConfig().vocabulary
    )
  except ConfigError as error:
    return [reporting.missing("MiniLM", reason=str(error))]
  checks = []
  for name, arm in training_arms.ARMS.items():
    program = _program(_with_docids(arm.model, table))
    rate = _rate(
      _genret_step(program, program.init_state()),
      training_arms.with_states(batches, arm),
      _count,
    )
    checks.append(
      reporting.Check(name=f"genret, {name}", figure=rate, unit="examples/s")
    )
  return checks


def _compare(
  name: str, config: T5Config, batches: Sequence[dict]
) -> list[reporting.Check]:
  program = _program(config)
  state = program.init_state()
  weights = jax.device_get(state.params)
  ours = _rate(_genret_step(program, state), batches, _count)
  checks = [
    reporting.Check(name=f"genret, {name}", figure=ours, unit="examples/s")
  ]
  try:
    model = peers.torch_t5(weights, config)
  except ImportError as error:
    return [*checks, reporting.missing(f"torch, {name}", reason=str(error))]
  padded = [peers.unpack(batch) for batch in batches]
  theirs = {
    size: _rate(
      _torch_step(model), _cut(padded, size), lambda batch: len(batch.inputs)
    )
    for size in (64, 256)
  }
  best = max(theirs, key=theirs.get)
  checks += [
    reporting.Check(
      name=f"torch, {name}, batch {size}", figure=rate, unit="examples/s"
    )
    for size, rate in theirs.items()
  ]
  checks.append(
    reporting.at_least(
      f"genret / torch (batch {best}), {name}",
      ours / theirs[best],
      1.5,
      unit="times",
    )
  )
  return checks


def _genret_step(program: Program, state) -> Callable[[dict], None]:
  step_fn = program.compile_step(state)
  held = [state]

  def step(batch: dict) -> None:
    held[0], metrics = step_fn(held[0], jax.device_put(batch))
    jax.block_until_ready((held[0], metrics))

  return step


def _torch_step(model) -> Callable[[peers.Padded], None]:
  import torch
  from transformers.optimization import Adafactor as TorchAdafactor

  model.train()
  optimizer = TorchAdafactor(
    model.parameters(), lr=1e-3, relative_step=False, warmup_init=False
  )

  def step(batch: peers.Padded) -> None:
    inputs = torch.from_numpy(batch.inputs)
    optimizer.zero_grad()
    model(
      input_ids=inputs,
      attention_mask=(inputs != 0).long(),
      labels=torch.from_numpy(batch.targets),
    ).loss.backward()
    optimizer.step()

  return step


def _cut(padded: Sequence[peers.Padded], size: int) -> list[peers.Padded]:
  """Cuts batches into smaller ones, each padded to its own longest."""
  out = []
  for batch in padded:
    for start in range(0, len(batch.inputs) - size + 1, size):
      inputs = batch.inputs[start : start + size]
      longest = int((inputs != 0).sum(1).max())
      out.append(
        peers.Padded(
          inputs=np.ascontiguousarray(inputs[:, :longest]),
          targets=np.ascontiguousarray(batch.targets[start : start + size]),
        )
      )
  return out or list(padded)


def _count(batch: dict) -> int:
  return int(batch["decoder_segment_ids"].max(1).sum())


def _rate(step: Callable, batches: Sequence, count: Callable) -> float:
  """Returns the median examples a second over batches, one to warm up."""
  step(batches[0])
  rates = []
  for batch in batches:
    start = time.perf_counter()
    step(batch)
    rates.append(count(batch) / (time.perf_counter() - start))
  return statistics.median(rates)


if __name__ == "__main__":
  main()
