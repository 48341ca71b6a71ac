"""A T5 so small that a step compiles in a second, and a batch for it."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from genret.embeddings.bert import BertConfig
from genret.models.encoder_config import EncoderConfig
from genret.models.sizes import PawaConfig
from genret.models.t5 import T5, T5Config
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor, Schedule
from genret.training.partitioning import MeshShape
from genret.training.step import Program, TrainState

HERE = Path(__file__).parent
CONFIG = T5Config(
  vocab_size=64,
  emb_dim=16,
  num_heads=2,
  head_dim=8,
  mlp_dim=32,
  num_encoder_layers=1,
  num_decoder_layers=1,
  docid_vocab_size=12,
  docid_length=3,
  dropout_rate=0.1,
)
# With a sentence encoder of which embeddings and the first layer are frozen.
ENCODED = dataclasses.replace(
  CONFIG,
  encoder=EncoderConfig(
    bert=BertConfig(
      vocab_size=64,
      emb_dim=8,
      num_layers=2,
      num_heads=2,
      mlp_dim=16,
      max_positions=8,
    ),
    frozen_below=1,
    lexical_dim=8,
  ),
)
# With a prefix-aware head, of docids of three levels.
PREFIX_AWARE = dataclasses.replace(
  CONFIG, level_starts=(2, 5, 9), pawa=PawaConfig(num_layers=1, mlp_dim=16)
)


def make_program(optimizer=None, *, model=1, config=CONFIG) -> Program:
  optimizer = optimizer or Adafactor(
    schedule=Schedule(peak=0.05, warmup_steps=0)
  )
  return Program(
    model=T5(config),
    num_symbols=config.num_symbols,
    optimizer=optimizer.build(100),
    loss=Loss(),
    seed=0,
    mesh=MeshShape(model=model).build(),
  )


def make_batch(rows: int = 8) -> dict[str, np.ndarray]:
  """Two packed examples a row: inputs of 4 ids, docids of 3 symbols."""
  rng = np.random.default_rng(0)
  targets = rng.integers(2, 12, size=(rows, 6)).astype(np.int32)
  shifted = np.roll(targets, 1, axis=1)
  shifted[:, [0, 3]] = 0
  return {
    "encoder_input_tokens": rng.integers(1, 64, (rows, 8)).astype(np.int32),
    "encoder_segment_ids": np.tile([1] * 4 + [2] * 4, (rows, 1)),
    "encoder_positions": np.tile([0, 1, 2, 3] * 2, (rows, 1)),
    "decoder_input_tokens": shifted,
    "decoder_target_tokens": targets,
    "decoder_segment_ids": np.tile([1] * 3 + [2] * 3, (rows, 1)),
    "decoder_loss_weights": np.ones((rows, 6), np.int32),
  }


def of_levels(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Gives every position of a docid symbols of its own."""
  targets = batch["decoder_target_tokens"]
  starts = np.tile(PREFIX_AWARE.level_starts, 2)
  targets = (starts + targets % 3).astype(np.int32)
  shifted = np.roll(targets, 1, axis=1)
  shifted[:, [0, 3]] = 0
  new = {"decoder_target_tokens": targets, "decoder_input_tokens": shifted}
  return {**batch, **new}


@pytest.fixture(scope="session")
def encoded_config() -> T5Config:
  return ENCODED


@pytest.fixture(scope="session")
def encoded_program():
  """Makes the program of an optimizer for a model with a sentence encoder."""
  return lambda optimizer: make_program(optimizer, config=ENCODED)


@pytest.fixture(scope="session")
def program() -> Program:
  return make_program()


@pytest.fixture(scope="session")
def initial(program) -> TrainState:
  """The state before the first step; a step would consume it: copy it."""
  return program.init_state()


@pytest.fixture(scope="session")
def step(program, initial):
  return program.compile_step(initial)


@pytest.fixture(scope="session")
def batch() -> dict[str, np.ndarray]:
  return make_batch()


@pytest.fixture(scope="session")
def prefix_aware() -> Program:
  """The program of a model with a prefix-aware head, two passes a step."""
  program = make_program(config=PREFIX_AWARE)
  return dataclasses.replace(program, loss=Loss(consistency=0.15))


@pytest.fixture(scope="session")
def prefix_aware_batch() -> dict[str, np.ndarray]:
  return of_levels(make_batch())


@pytest.fixture(scope="session")
def sharded_head(on_eight_devices):
  """What `sharded_head.py` found, by mesh."""
  return on_eight_devices(Path(__file__).parent / "sharded_head.py")


@pytest.fixture(scope="session")
def start_joined():
  """Starts a script in processes that are joined; returns them."""

  def start(script, *arguments, devices, processes):
    environment = surroundings(devices, processes)
    return [
      subprocess.Popen(
        [sys.executable, str(HERE / script), *arguments],
        env=environment | {"GENRET_PROCESS_ID": str(process)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      )
      for process in range(processes)
    ]

  return start


@pytest.fixture(scope="session")
def joined(start_joined):
  """Runs a script in processes that are joined; what each reported."""

  def run(script, *arguments, devices, processes=1):
    started = start_joined(
      script, *arguments, devices=devices, processes=processes
    )
    ended = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, ended, strict=True):
      assert process.returncode == 0, errors
    return [json.loads(shown.splitlines()[-1]) for shown, _ in ended]

  return run


def surroundings(devices: int, processes: int) -> dict[str, str]:
  """Returns the environment of processes with so many virtual devices each."""
  with socket.socket() as free:
    free.bind(("localhost", 0))
    port = free.getsockname()[1]
  return os.environ | {
    # Tiny programs: compiling them well takes longer than running them.
    "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"
    " --xla_backend_optimization_level=0"
    " --xla_llvm_disable_expensive_passes=true",
    "JAX_PLATFORMS": "cpu",
    "PYTHONPATH": str(HERE.parents[1]),
    "GENRET_COORDINATOR": f"localhost:{port}",
    "GENRET_NUM_PROCESSES": str(processes),
  }
