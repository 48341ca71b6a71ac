"""All commands in turn, with relative paths, as a person would type them."""

import json
import os
import shlex
import subprocess
import sys

import pytest

import genret

COMMANDS = """
genret prepare --source={birds} --out=data
genret docids --collection=data --out=docids
genret baselines --collection=data --out=baselines --k=5
  --gin.BAG_OF_SUBWORDS=None
genret train --collection=data --docids=docids --model_dir=model
  --train_steps=2 --batch_size=2 --eval_period=2
  --gin.MODEL=@sizes.T5Config() --gin.T5Config.emb_dim=16
  --gin.T5Config.mlp_dim=16 --gin.T5Config.num_heads=2
  --gin.T5Config.num_encoder_layers=1 --gin.T5Config.num_decoder_layers=1
  --gin.TASK_FEATURE_LENGTHS={{'inputs':32,'targets':8}}
genret retrieve --model_dir=model --collection=data --k=6 --out=mine.trec
genret evaluate --collection=data --out=results
  --runs=bm25=baselines/bm25/run.trec,mine=mine.trec
"""


@pytest.mark.slow
def test_commands_in_turn(birds, tmp_path):
  text = COMMANDS.format(birds=birds).strip().replace("\n  ", " ")
  checkout = os.path.dirname(os.path.dirname(genret.__file__))
  environment = {**os.environ, "PYTHONPATH": checkout}
  for line in text.splitlines():
    arguments = [word.strip('"') for word in shlex.split(line, posix=False)]
    finished = subprocess.run(
      [sys.executable, "-m", "genret.cli.main", *arguments[1:]],
      cwd=tmp_path,
      env=environment,
      capture_output=True,
      text=True,
    )
    assert finished.returncode == 0, f"{line}\n{finished.stderr}"
    assert "Traceback" not in finished.stderr
  metrics = json.loads((tmp_path / "results" / "metrics.json").read_text())
  assert set(metrics) == {"bm25", "mine"}
  assert metrics["mine"]["num_queries"] == 2
  assert metrics["mine"]["R@100"] == 1.0  # as many beams as documents
