"""genret study: a grid run end to end, killed on its way."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genret.cli import main
from genret.studies.layout import RESULT

TRAIN = """
from __gin__ import dynamic_registration
from genret.models import sizes
include 'runs/train.gin'
TASK_FEATURE_LENGTHS = {'inputs': 32, 'targets': 8}
BATCH_SIZE = 2
WARMUP_STEPS = 1
sizes.T5Config:
  emb_dim = 16
  num_heads = 2
  head_dim = 8
  mlp_dim = 16
  num_encoder_layers = 1
  num_decoder_layers = 1
"""
STUDY = """
from __gin__ import dynamic_registration
from genret.studies import grid
include 'runs/study.gin'
AXES = {{
  'collection': {{'birds': @birds/grid.Choice()}},
  'docids': {{'atomic': @grid.Choice()}},
  'inputs': {{
    'labelled': @labelled/grid.Choice(),
    'strange': @strange/grid.Choice(),
    'later': @later/grid.Choice(),
  }},
}}
EXPOSURES = 40.0
grid.Study:
  span = 1
  looks = 4
  pairs = 2
birds/grid.Choice:
  documents = 6
  flags = {{'prepare': ('--source={birds}',)}}
labelled/grid.Choice.flags = {{
  'train': ('--gin_file={train}', '--gin_file=tasks/labelled.gin'),
}}
QUERIES = '{queries}'
strange/grid.Choice:
  values = {{'queries': %QUERIES}}
  flags = {{
    'train': (
      '--gin_file={train}',
      '--gin_file=tasks/d2q.gin',
      '--gin.QUERIES={{queries}}',
    ),
  }}
later/grid.Choice:
  values = {{'queries': None}}
  flags = {{'train': ('--gin.QUERIES={{queries}}',)}}
"""


@pytest.fixture
def study_file(birds, tmp_path):
  """A study of one cell that works, one that fails, one that lacks queries."""
  (tmp_path / "train.gin").write_text(TRAIN)
  (tmp_path / "queries.tsv").write_text("albatross\twho glides\n")
  path = tmp_path / "study.gin"
  path.write_text(
    STUDY.format(
      birds=birds,
      train=tmp_path / "train.gin",
      queries=tmp_path / "queries.tsv",
    )
  )
  return path


def test_cells_are_listed_before_anything_runs(study_file, tmp_path, capsys):
  given = [f"--gin_file={study_file}", f"--workdir={tmp_path / 'w'}"]
  assert main.main(["study", *given, "--dry_run"]) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[1].startswith("birds-atomic-labelled-0")
  assert "6  " in lines[1] and "waits" in lines[1]
  assert "left out: {queries} is not set" in lines[3]
  assert lines[4].startswith("3 cells, 2 to run, about ")
  assert not (tmp_path / "w").exists()


def test_a_mistake_in_a_cell_is_told_at_once(study_file, tmp_path, capsys):
  study_file.write_text(
    study_file.read_text().replace("tasks/labelled.gin", "tasks/labeled.gin")
  )
  given = [f"--gin_file={study_file}", f"--workdir={tmp_path / 'w'}"]
  assert main.main(["study", *given]) == 2
  assert "no gin file: 'tasks/labeled.gin'" in capsys.readouterr().err
  assert not (tmp_path / "w").exists()


@pytest.mark.slow
def test_a_study_goes_on_where_it_was_killed(
  study_file, tmp_path, monkeypatch, capsys
):
  """Killed in its training; then nothing is left of it but the figures."""
  monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
  monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
  workdir = tmp_path / "w"
  command = [sys.executable, "-m", "genret.cli.main", "study", "--jobs=2"]
  command += [f"--gin_file={study_file}", f"--workdir={workdir}"]
  cell = workdir / "cells" / "birds-atomic-labelled-0"
  first = subprocess.Popen(command, start_new_session=True)
  while not list(cell.glob("model/checkpoints/*")):
    assert first.poll() is None
    time.sleep(0.05)
  first.send_signal(signal.SIGKILL)
  first.wait()
  assert not (cell / RESULT).exists()
  found = subprocess.run(command, capture_output=True, text=True, check=False)
  assert found.returncode == 1, found.stderr  # one cell failed
  result = json.loads((cell / RESULT).read_text())
  assert result["was_killed"]
  assert result["memorised"]["pairs"] == 2
  assert result["exposures"] >= 40
  assert len(result["dev"]) == 4
  assert set(result["figures"]) == {"all", "uncovered"}
  assert result["queries"] == {"all": 2, "covered": 0, "uncovered": 2}
  assert not (cell / "model" / "checkpoints").exists()
  assert "* birds-atomic-strange-0: calibration: genret train" in found.stdout
  assert "docno 'albatross' is not in the collection" in found.stdout
  assert "* birds-atomic-later-0: {queries} is not set" in found.stdout
  assert found.stdout == (workdir / "results.md").read_text()
  with open(workdir / "results.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  assert {row["inputs"] for row in rows} == {"labelled"}
  before = (cell / RESULT).stat().st_mtime_ns
  assert main.main([*command[3:], "--only=inputs=labelled"]) == 0
  assert "0 cells to run, 1 are done" in capsys.readouterr().err
  assert (cell / RESULT).stat().st_mtime_ns == before


def test_the_example_in_the_docs_is_a_study(tmp_path, capsys):
  docs = Path(__file__).parents[2] / "docs" / "studies.md"
  example = docs.read_text().split("## Writing one")[1].split("```")[1]
  (tmp_path / "mine.gin").write_text(example)
  given = [f"--gin_file={tmp_path / 'mine.gin'}", f"--workdir={tmp_path / 'w'}"]
  assert main.main(["study", *given, "--dry_run", "--only=seed=2"]) == 0
  lines = capsys.readouterr().out.splitlines()
  assert [line.split()[0] for line in lines[1:5]] == [
    "squad-atomic-labelled-2",
    "squad-atomic-daq-2",
    "squad-naive-labelled-2",
    "squad-naive-daq-2",
  ]
