import shlex
from pathlib import Path
from types import SimpleNamespace

from genret.cli import gin_setup, main, serve
from genret.cli.quickstart import COMMAND
from genret.stages import quickstart


def test_run_file_has_the_three_docids():
  _, settings = gin_setup.split(["--gin.WORKDIR=w"])
  built = gin_setup.load([COMMAND.run_file], settings).build(quickstart.run)
  rows = built["config"].rows
  assert list(rows) == ["atomic", "naive", "semantic"]
  assert [name for name, row in rows.items() if row.docids_from_vectors] == [
    "semantic"
  ]
  assert [name for name, row in rows.items() if row.starts_from_vectors] == [
    "atomic"
  ]
  assert {row.train.model.encoder.frozen_below for row in rows.values()} == {6}
  assert all(row.train.cache_states for row in rows.values())


def test_work_folder_is_required(capsys):
  assert main.main(["quickstart"]) == 2
  error = capsys.readouterr().err
  assert "WORKDIR is required and not set" in error
  assert error.count("\n") == 1


def test_report_ends_with_how_to_open_it():
  work = Path("a work folder")
  done = quickstart.Finished(
    report=SimpleNamespace(table=lambda: "the table"),
    metrics=work / "metrics.json",
    collection=work / "collection",
    models={"atomic": work / "models" / "atomic"},
    seconds=60.0,
  )
  program, command, *flags = shlex.split(
    COMMAND.report(done, {}).splitlines()[-1]
  )
  assert (program, command) == ("genret", serve.COMMAND.name)
  assert flags == [
    "--model_dir=a work folder/models/atomic",
    "--collection=a work folder/collection",
  ]
  known = {f"--{flag.name}" for flag in serve.COMMAND.flags}
  assert {flag.partition("=")[0] for flag in flags} <= known
