"""Compiles a sharded training step for devices that are not there.

XLA makes as many virtual CPU devices as it is asked for, but only before it
starts: so the work is done in a process of its own, `python -m` this module.
The model compiled there is a twin of the one that is planned, of the same
program, mesh and rules, but two layers deep and as narrow as keeps what the
mesh divides divided, and what it does not, not. Nothing is run or allocated.
"""

import dataclasses
import itertools
import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import jax

import genret
from genret.core.errors import ConfigError
from genret.models.sizes import PawaConfig, T5Config
from genret.training import abstract_step, memory, partitioning
from genret.training.chunked import Chunked
from genret.training.fitting import Split, Step
from genret.training.optimizers import Adafactor
from genret.training.partitioning import MeshShape

MOST_DEVICES = 64
_LENGTH = 8
_LINES = 12
# What is partitioned is the same, and machine code is not what is looked at.
_COMPILER = {
  "xla_backend_optimization_level": 0,
  "xla_llvm_disable_expensive_passes": True,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compiled:
  """What the compiler made of the twin.

  Attributes:
    sizes: Mesh axis -> virtual devices along it.
    arrays: Arrays of the state.
    split: How many of them are split over devices.
    given_bytes: What XLA says a device is given: state and batch.
    counted_bytes: What `memory` counts for the same.
    seconds: Of lowering and compiling.
  """

  sizes: dict[str, int]
  arrays: int
  split: int
  given_bytes: int
  counted_bytes: int
  seconds: float


def compile_virtually(step: Step, split: Split) -> Compiled:
  """Compiles the twin of a step in another process, on virtual devices.

  Args:
    step: What is planned.
    split: How it is split; over more than MOST_DEVICES, both axes shrink.

  Raises:
    ConfigError: If it does not compile; with the end of what was said.
  """
  split = fewer(split)
  job = pickle.dumps((twin(step, split), split))
  root = str(Path(genret.__file__).parents[1])
  paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
  done = subprocess.run(
    [sys.executable, "-m", "genret.training.virtual"],
    input=job,
    capture_output=True,
    env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    check=False,
  )
  if done.returncode:
    said = done.stderr.decode(errors="replace").splitlines()[-_LINES:]
    raise ConfigError(
      "the sharded step does not compile for virtual devices:\n"
      + "\n".join(said)
    )
  return Compiled(**json.loads(done.stdout.splitlines()[-1]))


def twin(step: Step, split: Split) -> Step:
  """Returns a tiny step that a mesh splits as it splits the real one."""
  sizes = split.sizes
  config, ways = step.config, sizes["model"]
  depth = sizes["data"] if split.mesh.fully_sharded else 1
  own = config.docid_vocab_size is not None
  adapts = config.pawa is not None  # its matrices are split by rows
  symbols = _like(config.num_symbols, ways)
  how = step.loss.head_for(config.head_width)
  optimizer = dataclasses.replace(step.optimizer, multipliers={})
  if isinstance(optimizer, Adafactor):
    optimizer = dataclasses.replace(optimizer, min_dim_size_to_factor=2)
  small = T5Config(
    vocab_size=_like(config.vocab_size, ways) if own else symbols,
    emb_dim=_like(config.emb_dim, depth, ways if adapts else 1),
    num_heads=_like(config.num_heads, ways),
    head_dim=_head_dim(config, ways),
    mlp_dim=_like(config.mlp_dim, ways),
    num_encoder_layers=2,
    num_decoder_layers=2,
    dropout_rate=config.dropout_rate,
    dtype=config.dtype,
    docid_vocab_size=symbols if own else None,
    docid_length=min(config.docid_length or 2, 2),
    head_multiple=_head_multiple(config.head_width, symbols, ways),
    scan_layers=config.scan_layers,
    pawa=_adaptor(config, ways) if adapts else None,
    level_starts=(2, 3) if adapts else None,
  )
  return Step(
    config=small,
    optimizer=optimizer,
    loss=dataclasses.replace(
      step.loss, head=Chunked(size=2) if isinstance(how, Chunked) else how
    ),
    batch_size=sizes["data"] * split.accumulate,
    input_length=_LENGTH,
    target_length=min(step.target_length, 2),
  )


def compile_here(step: Step, split: Split) -> Compiled:
  """Compiles a step for the devices of this process, of which it uses all."""
  mesh = split.mesh.build()
  program = abstract_step.program(step, split, mesh)
  state = program.abstract_state()
  batch = abstract_step.batch(step, partitioning.batch_sharding(mesh))
  started = time.monotonic()
  compiled = program.compile_step(state).lower(state, batch).compile(_COMPILER)
  seconds = time.monotonic() - started
  leaves = jax.tree.leaves(state)
  # Adafactor keeps single elements where a moment is kept in another way; no
  # step reads them, and XLA is not given them.
  given = [
    leaf for leaf in jax.tree.leaves((state, batch)) if leaf.shape != (1,)
  ]
  specs = [leaf.sharding.spec for leaf in given]
  return Compiled(
    sizes=dict(mesh.shape),
    arrays=len(leaves),
    split=sum(not leaf.sharding.is_fully_replicated for leaf in leaves),
    given_bytes=compiled.memory_analysis().argument_size_in_bytes,
    counted_bytes=memory.shard_bytes(given, specs, mesh.shape),
    seconds=seconds,
  )


def _like(size: int, *ways: int) -> int:
  """Returns a small size that is divided, or not, as a large one is.

  >>> _like(768, 8), _like(768, 8, 5)
  (8, 8)

  Args:
    size: the large one.
    *ways: what divides it or not.
  """
  wanted = [size % n == 0 for n in ways]
  return next(
    small
    for small in itertools.count(4)
    if [small % n == 0 for n in ways] == wanted
  )


def _adaptor(config: T5Config, ways: int) -> PawaConfig:
  """Returns an adaptor that is split as the one that is planned."""
  shape = config.adaptor
  return PawaConfig(
    num_layers=min(shape.num_decoder_layers, 2),
    num_heads=_like(shape.num_heads, ways),
    mlp_dim=_like(shape.mlp_dim, ways),
  )


def _head_dim(config: T5Config, ways: int) -> int:
  """Returns one with which the joined heads, too, are divided or not."""
  if config.num_heads % ways == 0:
    return 2
  return ways if config.num_heads * config.head_dim % ways == 0 else 1


def _head_multiple(width: int, symbols: int, ways: int) -> int:
  """Returns what few symbols are rounded up to for a head like a wide one."""
  if width % ways == 0:
    return ways
  return symbols + 1 if symbols % ways == 0 else symbols


def fewer(split: Split) -> Split:
  """Shrinks a mesh to MOST_DEVICES; an axis that splits goes on splitting."""
  data, model = split.sizes["data"], split.sizes["model"]
  most = MOST_DEVICES // min(data, 2)
  model = max(n for n in range(1, most + 1) if model % n == 0)
  data = min(data, MOST_DEVICES // model)
  return dataclasses.replace(
    split,
    num_devices=data * model,
    mesh=MeshShape(model=model, fully_sharded=split.mesh.fully_sharded),
  )


def _main() -> None:
  step, split = pickle.load(sys.stdin.buffer)
  jax.config.update("jax_platforms", "cpu")
  jax.config.update("jax_num_cpu_devices", split.num_devices)
  found = compile_here(step, split)
  print(json.dumps(dataclasses.asdict(found)))


if __name__ == "__main__":
  _main()
