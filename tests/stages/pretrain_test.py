"""Pre-training on 64 real passages: the loss falls, a kill changes nothing."""

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from genret.core import artifacts
from genret.core.errors import ArtifactError, ConfigError
from genret.interop import weights
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5Config
from genret.stages import convert, pretrain, train
from genret.stages.convert import ConvertConfig
from genret.stages.pretrain import PretrainConfig
from genret.tasks import mixtures
from genret.tasks.indexing import FirstP
from genret.tasks.texts import TextConfig
from genret.training.checkpoints import Checkpoints
from genret.training.loop import Loop, LoopConfig
from genret.training.optimizers import AdamW, Schedule

MODEL = T5Config(
  emb_dim=16,
  num_heads=2,
  head_dim=8,
  mlp_dim=16,
  num_encoder_layers=1,
  num_decoder_layers=1,
  embedding_init_stddev=0.1,
)
CONFIG = PretrainConfig(
  model=MODEL,
  loop=LoopConfig(train_steps=12, eval_every=4),
  texts=TextConfig(held_out_share=0.2),
  inputs_length=24,
  batch_size=16,
  optimizer=AdamW(schedule=Schedule(peak=0.03, warmup_steps=2)),
  eval_rows=32,
)

pytestmark = pytest.mark.usefixtures("compile_once")


class Killed(Exception):
  pass


@pytest.fixture(scope="module")
def finished(collection, tmp_path_factory) -> Path:
  out = tmp_path_factory.mktemp("pretrain") / "out"
  return pretrain.run(CONFIG, [collection.root], out=out)


def test_the_held_out_loss_falls(finished, capsys):
  curve = json.loads((finished / "curve.json").read_text())
  losses = [point["loss"] for point in curve]
  assert [point["step"] for point in curve] == [4, 8, 12]
  assert losses[0] > losses[1] > losses[2]
  assert losses[2] < losses[0] - 1.0
  raw = CONFIG.corruption.lengths(CONFIG.inputs_length).raw
  assert curve[-1]["tokens"] == 12 * 16 * raw


def test_what_was_left_out_is_kept_in_the_summary(finished, collection):
  summary = json.loads((finished / "summary.json").read_text())
  counts = summary["texts"][collection.name]
  judged = {
    judgement.docno
    for split in ("test", "dev")
    for judgement in collection.judgements(split)
  }
  assert counts["judged"] == len(judged) > 0
  assert counts["documents"] == collection.num_documents
  assert not (finished / "texts").exists()


def test_the_best_weights_are_written(finished):
  artifacts.verify(finished)
  found = convert.opened(finished)
  assert found.config == MODEL
  best = json.loads((finished / "result.json").read_text())["best_step"]
  assert found.origin.step == best == 12
  kept = Checkpoints(finished / "checkpoints", measure=None, read_only=True)
  jax.tree.map(
    np.testing.assert_array_equal, found.tree(), kept.restore_params(best)
  )


def test_the_lowest_loss_is_the_best(collection, tmp_path):
  """A rate that is too high spoils what the first steps have learned."""
  config = dataclasses.replace(
    CONFIG,
    optimizer=AdamW(schedule=Schedule(peak=2.0, warmup_steps=8)),
    loop=LoopConfig(train_steps=12, eval_every=1),
  )
  out = pretrain.run(config, [collection.root], out=tmp_path / "out")
  curve = json.loads((out / "curve.json").read_text())
  lowest = min(curve, key=lambda point: point["loss"])["step"]
  assert lowest < 12
  assert convert.opened(out).origin.step == lowest


def test_weights_in_half_the_bytes(finished, collection, tmp_path):
  config = dataclasses.replace(CONFIG, dtype="bfloat16")
  out = pretrain.run(config, [collection.root], out=tmp_path / "out")
  half, whole = convert.opened(out), convert.opened(finished)
  assert half.num_bytes * 2 == whole.num_bytes
  for ours, theirs in zip(
    jax.tree.leaves(half.tree()), jax.tree.leaves(whole.tree()), strict=True
  ):
    np.testing.assert_allclose(ours, theirs, rtol=2**-8, atol=1e-30)
  hashes = artifacts.load(out).files
  assert hashes[weights.PARAMETERS] == artifacts.file_hash(
    out / weights.PARAMETERS
  )


def test_training_starts_from_them(
  finished, collection, make_docids, tmp_path, capsys
):
  """Encoder, decoder and text embedding are taken; docids start anew."""
  config = train.TrainConfig(
    model=MODEL,
    mixture=functools.partial(
      mixtures.build, tasks=[FirstP(rate=1.0, num_tokens=24)], input_length=25
    ),
    task_feature_lengths={"inputs": 32, "targets": 8},
    batch_size=8,
    optimizer=AdamW(schedule=Schedule(peak=1e-12, warmup_steps=0)),
    loop=LoopConfig(train_steps=1, eval_every=1),
    dev=None,
    input_length=25,
    initial_checkpoint=finished,
  )
  out = train.run(
    config, collection, make_docids("semantic"), out=tmp_path / "model"
  )
  assert f"anew: {', '.join(weights.FRESH)}" in capsys.readouterr().out
  theirs = convert.opened(finished).params
  ours = convert.opened(out).params
  assert ours.keys() - theirs.keys() == {weights.FRESH[0]}
  for name in theirs.keys() - set(weights.FRESH):
    np.testing.assert_allclose(
      ours[name].read(), theirs[name].read(), atol=1e-6
    )


def test_they_convert(finished, tmp_path):
  found = convert.run(
    ConvertConfig(to="huggingface"), finished, out=tmp_path / "hf"
  )
  assert (found.path / "model.safetensors").is_file()


def test_a_finished_run_is_left_as_it_is(finished, collection):
  before = artifacts.identity(finished)
  (finished / "texts").mkdir()  # as a kill just after the end leaves them
  pretrain.run(CONFIG, [collection.root], out=finished)
  assert artifacts.verify(finished).identity == before
  assert not (finished / "texts").exists()


@pytest.mark.parametrize("after", [1, 2])
def test_going_on_equals_never_stopping(
  after, finished, collection, tmp_path, monkeypatch
):
  """Stopped when a state was measured and before it was kept."""
  judge, calls = Loop._judge, []

  def killed(self, state, step, **options):
    measures = judge(self, state, step, **options)
    calls.append(step)
    if len(calls) == after:
      self.checkpoints.wait()  # a thread of this process, which lives on
      raise Killed
    return measures

  out = tmp_path / "out"
  with monkeypatch.context() as patched:
    patched.setattr(Loop, "_judge", killed)
    with pytest.raises(Killed):
      pretrain.run(CONFIG, [collection.root], out=out)
  assert not (out / artifacts.MANIFEST).exists()
  with pytest.raises(ArtifactError):
    convert.opened(out)
  pretrain.run(CONFIG, [collection.root], out=out)
  assert artifacts.identity(out) == artifacts.identity(finished)


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(collection, tmp_path):
  """kill -9 after the first checkpoint; the rerun equals an unkilled run."""
  killed, whole = tmp_path / "killed", tmp_path / "whole"
  process = _script(collection.root, killed)
  while not (killed / "checkpoints" / "10").exists():
    assert process.poll() is None, "the run ended before it could be killed"
    time.sleep(0.01)
  process.send_signal(signal.SIGKILL)
  process.wait()
  assert not (killed / artifacts.MANIFEST).exists()
  assert _script(collection.root, killed).wait() == 0
  assert _script(collection.root, whole).wait() == 0
  assert artifacts.identity(killed) == artifacts.identity(whole)


def test_another_run_in_the_same_folder_is_refused(finished, collection):
  other = dataclasses.replace(
    CONFIG, texts=TextConfig(held_out_share=0.2, excluded_splits=("test",))
  )
  with pytest.raises(ArtifactError, match="texts is"):
    pretrain.run(other, [collection.root], out=finished)


def test_too_little_text_is_said(collection, tmp_path):
  longer = dataclasses.replace(
    CONFIG, inputs_length=1500, texts=TextConfig(held_out_share=0.05)
  )
  with pytest.raises(ConfigError, match="Give more text or shorter inputs"):
    pretrain.run(longer, [collection.root], out=tmp_path / "out")


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"dtype": "float16"}, "dtype is 'float16'; weights are written in"),
    ({"eval_rows": 0}, "eval_rows is 0"),
    ({"accumulate": 3}, "expected a divisor of the batch_size, 16"),
    ({"inputs_length": 2048}, "T5 has 100 sentinels"),
    (
      {"model": dataclasses.replace(MODEL, docid_vocab_size=9, docid_length=2)},
      "a T5 that reads and writes text",
    ),
    (
      {"model": T5Config(emb_dim=384, encoder=EncoderConfig())},
      "a T5 that reads and writes text",
    ),
  ],
)
def test_settings_that_cannot_be(settings, message):
  with pytest.raises(ConfigError, match=message):
    dataclasses.replace(CONFIG, **settings)


def _script(*arguments: Path) -> subprocess.Popen:
  here = Path(__file__)
  return subprocess.Popen(
    [sys.executable, str(here), *map(str, arguments)],
    env=os.environ
    | {"PYTHONPATH": str(here.parents[2]), "JAX_PLATFORMS": "cpu"},
  )


def main(collection_root: str, out: str) -> None:
  """Trains with dropout, a checkpoint every 10 steps."""
  loop = LoopConfig(train_steps=200, eval_every=100, checkpoint_every=10)
  config = dataclasses.replace(CONFIG, loop=loop)
  pretrain.run(config, [Path(collection_root)], out=Path(out))


if __name__ == "__main__":
  main(*sys.argv[1:])
