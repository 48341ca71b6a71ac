"""Training end to end on 64 real documents: by heart, and through a kill."""

import dataclasses
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import ArtifactError, ConfigError
from genret.models.sizes import PawaConfig
from genret.models.t5 import T5Config
from genret.retrieval.generative import Retriever
from genret.stages import memorised, train
from genret.tasks import mixtures
from genret.tasks.indexing import FirstP
from genret.training.checkpoints import Checkpoints
from genret.training.chunked import Chunked
from genret.training.dense_start import DenseStart
from genret.training.loop import DivergedError, LoopConfig
from genret.training.losses import Loss
from genret.training.optimizers import AdamW, Schedule
from genret.training.sampled import Sampled

CONSTANT = Schedule(peak=0.01, warmup_steps=0)
MODEL = T5Config(
  emb_dim=64,
  num_heads=2,
  head_dim=32,
  mlp_dim=64,
  num_encoder_layers=1,
  num_decoder_layers=1,
  dropout_rate=0.0,
  embedding_init_stddev=0.1,
  residual_init_scale=0.1,
  docid_embedding_init_stddev=0.5,
)
CONFIG = train.TrainConfig(
  model=MODEL,
  mixture=functools.partial(
    mixtures.build, tasks=[FirstP(rate=1.0, num_tokens=24)], input_length=25
  ),
  task_feature_lengths={"inputs": 128, "targets": 32},
  batch_size=8,
  optimizer=AdamW(
    schedule=Schedule(peak=0.01, warmup_steps=10, decay="linear"),
    clip_norm=None,
    multipliers={"token_embedder": 1.0, ".": 0.3},
  ),
  loop=LoopConfig(train_steps=300, eval_every=300),
  dev=None,
  input_length=25,
)
# For docids of levels: a prefix-aware head, and two passes a step.
PREFIX_AWARE = dataclasses.replace(
  CONFIG,
  model=dataclasses.replace(
    MODEL, dropout_rate=0.05, pawa=PawaConfig(num_layers=1)
  ),
  loss=Loss(consistency=0.15),
)


@pytest.mark.parametrize(
  "scheme",
  [
    pytest.param("atomic", marks=pytest.mark.slow),
    pytest.param("naive", marks=pytest.mark.slow),
    "semantic",
    pytest.param("semantic_2d", marks=pytest.mark.slow),
  ],
)
def test_64_documents_are_learned_by_heart(
  scheme, collection, make_docids, tmp_path
):
  """Hits@1 = 1: each document is found by its own first tokens."""
  config = PREFIX_AWARE if scheme == "semantic_2d" else CONFIG
  config = dataclasses.replace(config, memorised_pairs=1000)
  out = train.run(
    config, collection, make_docids(scheme), out=tmp_path / "model"
  )
  known = json.loads((out / memorised.FILE).read_text())
  assert known["Hits@1"] == known["Hits@1 firstp"] == 1.0
  assert known["pairs"] == 64
  retriever = Retriever.load(out)
  documents = list(collection.documents())
  texts = [document.contents for document in documents]
  found = retriever.search(texts, k=1, num_beams=4)
  expected = [document.docno for document in documents]
  assert [hits[0].docno for hits in found] == expected


def test_a_finished_run_is_left_as_it_is(collection, make_docids, tmp_path):
  config = dataclasses.replace(
    CONFIG,
    optimizer=AdamW(schedule=CONSTANT),
    loop=LoopConfig(train_steps=2, eval_every=2),
  )
  arguments = (config, collection, make_docids("atomic"))
  out = train.run(*arguments, out=tmp_path / "model")
  before = artifacts.verify(out).identity
  changed = (out / "checkpoints" / "2").stat().st_mtime_ns
  train.run(*arguments, out=out)
  assert artifacts.verify(out).identity == before
  assert (out / "checkpoints" / "2").stat().st_mtime_ns == changed


def test_another_run_in_the_same_folder_is_refused(
  collection, make_docids, tmp_path
):
  short = dataclasses.replace(
    CONFIG,
    optimizer=AdamW(schedule=CONSTANT),
    loop=LoopConfig(train_steps=1, eval_every=1),
  )
  folder = make_docids("atomic")
  train.run(short, collection, folder, out=tmp_path / "model")
  other = dataclasses.replace(short, batch_size=4)
  with pytest.raises(ArtifactError, match="batch_size is 8 there and 4 here"):
    train.run(other, collection, folder, out=tmp_path / "model")


def test_a_loss_that_is_no_number_names_step_and_checkpoint(
  collection, make_docids, tmp_path
):
  config = dataclasses.replace(
    CONFIG,
    optimizer=AdamW(
      schedule=Schedule(peak=1e38, warmup_steps=0), clip_norm=None
    ),
    loop=LoopConfig(train_steps=40, eval_every=1, log_every=1),
  )
  with pytest.raises(DivergedError, match=r"at step \d+; the last good"):
    train.run(config, collection, make_docids("naive"), out=tmp_path / "model")


def _script(arguments: list[str]) -> subprocess.Popen:
  here = Path(__file__)
  return subprocess.Popen(
    [sys.executable, str(here), *arguments],
    env=os.environ
    | {"PYTHONPATH": str(here.parents[2]), "JAX_PLATFORMS": "cpu"},
  )


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(
  collection, make_docids, tmp_path
):
  """kill -9 after the first checkpoint; the rerun equals an unkilled run."""
  arguments = [str(collection.root), str(make_docids("naive"))]
  killed, whole = tmp_path / "killed", tmp_path / "whole"
  process = _script([*arguments, str(killed)])
  while not (killed / "checkpoints" / "40").exists():
    assert process.poll() is None, "the run ended before it could be killed"
    time.sleep(0.01)
  process.send_signal(signal.SIGKILL)
  process.wait()
  assert not (killed / artifacts.MANIFEST).exists()
  assert _script([*arguments, str(killed)]).wait() == 0
  assert _script([*arguments, str(whole)]).wait() == 0
  results = [
    json.loads((out / train.RESULT).read_text()) for out in (killed, whole)
  ]
  assert results[0] == results[1]
  states = [
    Checkpoints(out / "checkpoints", measure=None).restore_params(400)
    for out in (killed, whole)
  ]
  jax.tree.map(np.testing.assert_array_equal, *states)


@pytest.mark.slow
def test_how_the_machine_does_the_work_is_no_part_of_a_run(
  collection, make_docids, tmp_path
):
  """Found too large, it goes on in parts, scanned; model.json is the same.

  A sample of the head is another loss.
  """
  short = dataclasses.replace(
    CONFIG,
    optimizer=AdamW(schedule=CONSTANT),
    loop=LoopConfig(train_steps=1, eval_every=1),
  )
  folder = make_docids("atomic")
  out = train.run(short, collection, folder, out=tmp_path / "model")
  spec = (out / "model.json").read_bytes()
  other = dataclasses.replace(
    short,
    accumulate=4,
    loss=Loss(head=Chunked(size=16)),
    model=dataclasses.replace(MODEL, remat="full", scan_layers=True),
    dense_start=DenseStart(norm=2.0),  # of no embeddings
  )
  assert train.run(other, collection, folder, out=out) == out
  split = train.run(other, collection, folder, out=tmp_path / "split")
  assert (split / "model.json").read_bytes() == spec
  sampled = dataclasses.replace(short, loss=Loss(head=Sampled(negatives=4)))
  with pytest.raises(ArtifactError, match="loss is"):
    train.run(sampled, collection, folder, out=out)


@pytest.mark.parametrize("accumulate", [0, 3])
def test_parts_of_a_batch_are_equal(accumulate):
  with pytest.raises(ConfigError, match="expected a divisor of the batch_size"):
    dataclasses.replace(CONFIG, accumulate=accumulate)


@pytest.fixture
def start(collection, make_docids):
  """Starts a run in processes of two devices each; returns them."""

  def run(out: Path, *, processes: int, more: str = "") -> list:
    with socket.socket() as free:
      free.bind(("localhost", 0))
      port = free.getsockname()[1]
    arguments = [collection.root, make_docids("naive"), out, *more.split()]
    flags = (
      "--xla_force_host_platform_device_count=2"
      " --xla_backend_optimization_level=0"
    )
    environment = os.environ | {
      "PYTHONPATH": str(Path(__file__).parents[2]),
      "JAX_PLATFORMS": "cpu",
      "XLA_FLAGS": flags,
      "GENRET_COORDINATOR": f"localhost:{port}",
      "GENRET_NUM_PROCESSES": str(processes),
    }
    script = Path(__file__).parent / "joined_run.py"
    return [
      subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)],
        env=environment | {"GENRET_PROCESS_ID": str(process)},
        stderr=subprocess.PIPE,
        text=True,
      )
      for process in range(processes)
    ]

  return run


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_one_of_two_killed_ends_both_and_the_pair_goes_on(
  victim, start, tmp_path
):
  """The other ends within a minute, and says so in its last line."""
  killed = tmp_path / "killed"
  pair = start(killed, processes=2)
  while not (killed / "checkpoints" / "8").exists():
    assert all(process.poll() is None for process in pair)
    time.sleep(0.01)
  pair[victim].send_signal(signal.SIGKILL)
  _, errors = pair[1 - victim].communicate(timeout=60)
  pair[victim].communicate()
  assert pair[1 - victim].returncode != 0
  last = errors.strip().splitlines()[-1]
  assert last.startswith("error: process")
  assert "Start all processes again" in last
  assert not (killed / artifacts.MANIFEST).exists()

  pair = start(killed, processes=2)
  for process in pair:
    _, errors = process.communicate()
    assert process.returncode == 0, errors
  artifacts.verify(killed)
  assert Retriever.load(killed).search(["when"], k=1)[0]


@pytest.mark.slow
def test_another_number_of_processes_is_refused_unless_asked_for(
  start, tmp_path
):
  out = tmp_path / "model"
  pair = start(out, processes=2)
  while not (out / "checkpoints" / "8").exists():
    assert all(process.poll() is None for process in pair)
    time.sleep(0.01)
  for process in pair:
    process.kill()
    process.communicate()
  (alone,) = start(out, processes=1)
  _, errors = alone.communicate()
  assert alone.returncode != 0
  assert "by 2 shards of input; here there are 1" in errors.replace("\n", " ")
  (alone,) = start(out, processes=1, more="other")
  _, errors = alone.communicate()
  assert alone.returncode == 0, errors
  artifacts.verify(out)


def main(collection_root: str, docids_folder: str, out: str) -> None:
  """Trains with dropout, a checkpoint every 40 steps."""
  config = dataclasses.replace(
    CONFIG,
    model=dataclasses.replace(MODEL, dropout_rate=0.1),
    loop=LoopConfig(train_steps=400, eval_every=400, checkpoint_every=40),
  )
  train.run(
    config,
    Collection.open(Path(collection_root)),
    Path(docids_folder),
    out=Path(out),
  )


if __name__ == "__main__":
  main(*sys.argv[1:])
