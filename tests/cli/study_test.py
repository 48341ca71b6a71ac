"""genret study: a grid run end to end, killed on its way."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genret.cli import gin_files, main
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
  assert set(result["figures"]) == {"all", "uncovered", "training queries: 0"}
  counts = result["queries"]
  assert (counts["all"], counts["covered"], counts["uncovered"]) == (2, 0, 2)
  assert not (cell / "model" / "checkpoints").exists()
  assert "* birds-atomic-strange-0: calibration: genret train" in found.stdout
  assert "docno 'albatross' is not in the collection" in found.stdout
  assert "* birds-atomic-later-0: {queries} is not set" in found.stdout
  assert found.stdout.startswith((workdir / "results.md").read_text())
  assert found.stdout.endswith(f"next: genret report {workdir}\n")
  with open(workdir / "results.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  assert {row["inputs"] for row in rows} == {"labelled"}
  before = (cell / RESULT).stat().st_mtime_ns
  assert main.main([*command[3:], "--only=inputs=labelled"]) == 0
  assert "0 cells to run, 1 are done" in capsys.readouterr().err
  assert (cell / RESULT).stat().st_mtime_ns == before


GROWING = """
from __gin__ import dynamic_registration
from genret.studies import grid
include 'runs/study.gin'
AXES = {{
  'documents': {{'5': @rung/grid.Choice()}},
  'coverage': {{'none': @none/grid.Choice(), 'half': @half/grid.Choice()}},
  'docids': {{'atomic': @grid.Choice()}},
  'inputs': {{'labelled': @labelled/grid.Choice()}},
}}
EXPOSURES = 40.0
grid.Study:
  span = 1
  looks = 4
  pairs = 2
  contrasts = {{'coverage': ('coverage=half', 'coverage=none')}}
rung/grid.Choice.flags = {{
  'prepare': ('--source={birds}',),
  'ladder': ('--rungs={{documents}}',),
  'baselines': ('--gin.BAG_OF_SUBWORDS=None',),
}}
none/grid.Choice.flags = {{'resplit': ('--coverage=0.0',)}}
half/grid.Choice.flags = {{
  'resplit': ('--coverage=0.5', '--cover_with=sentences'),
}}
labelled/grid.Choice.flags = {{
  'train': ('--gin_file={train}', '--gin_file=tasks/labelled.gin'),
}}
"""
# Where a study is killed: when there is a file of this name for the first time.
STAGES = {
  "prepare": "logs/prepare-*.log",
  "resplit": "logs/resplit-*.log",
  "calibration": "calibrations/5-none-atomic-labelled/events*",
  "training": "cells/5-none-atomic-labelled-0/model/checkpoints/*",
  "search": "cells/5-none-atomic-labelled-0/trained.json",
}
OF_TIME = {"made", "machine", "cpu_hours", "cpu_minutes", "was_killed"}
OF_TIME |= {"loop_cpu_minutes", "costs"}


def timeless(value):
  """Returns JSON without what depends on when and where it was made."""
  if isinstance(value, dict):
    return {k: timeless(v) for k, v in value.items() if k not in OF_TIME}
  return [timeless(v) for v in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_a_study_killed_in_five_stages_finds_what_one_run_finds(
  birds, tmp_path, monkeypatch
):
  monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
  monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
  (tmp_path / "train.gin").write_text(TRAIN)
  path = tmp_path / "study.gin"
  path.write_text(GROWING.format(birds=birds, train=tmp_path / "train.gin"))

  def command(workdir):
    given = [f"--gin_file={path}", f"--workdir={workdir}"]
    return [sys.executable, "-m", "genret.cli.main", "study", *given]

  killed, whole = tmp_path / "killed", tmp_path / "whole"
  for stage, files in STAGES.items():
    assert not list(killed.glob(files)), stage
    running = subprocess.Popen(command(killed), start_new_session=True)
    while not list(killed.glob(files)):
      assert running.poll() is None, stage
      time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
  assert not list(killed.glob(f"cells/*/{RESULT}"))
  for workdir in (killed, whole):
    subprocess.run(command(workdir), check=True, capture_output=True)
  found, expected = (
    json.loads((workdir / "results.json").read_text())
    for workdir in (killed, whole)
  )
  assert timeless(found) == timeless(expected)
  assert [row["chosen"].get("coverage") for row in found["rows"]].count("half")
  assert any(row.get("was_killed") for row in found["rows"])
  for run in whole.glob("cells/*/run.trec"):
    assert run.read_text() == (killed / run.relative_to(whole)).read_text()


SMALL = sorted((gin_files.shipped() / "studies" / "small").glob("*.gin"))
STUDIES = [path.stem for path in SMALL if "AXES" in path.read_text()]


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_all_commands_of_the_small_studies_can_be_read(name, tmp_path, capsys):
  given = [f"--gin_file=studies/small/{name}.gin", f"--workdir={tmp_path}/w"]
  (tmp_path / "q.tsv").write_text("")
  sets = {"rows": "SQUAD_QUERIES", "ladder": "DEBIAN", "queries": "DEBIAN"}
  if name in sets:
    given.append(f"--gin.{sets[name]}='{tmp_path}/q.tsv'")
  assert main.main(["study", *given, "--dry_run", "--only=seed=0"]) == 0
  lines = capsys.readouterr().out.splitlines()
  waiting = [line for line in lines if line.endswith("waits")]
  assert waiting and all("boolq" not in line for line in waiting)


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
