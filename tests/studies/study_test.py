"""A study from Python; run to its end in cli/study_test."""

import pytest

from genret.core.errors import ConfigError
from genret.studies import study as studies
from genret.studies.study import Wanted


def test_filters_come_before_shards(study):
  wanted = Wanted(only=("docids=atomic,collection=toy",), shard="2/2")
  found = [cell.name for cell in wanted.of(study)]
  assert found == ["toy-atomic-d2q-0", "toy-atomic-d2q-1"]


def test_a_list_makes_nothing(study, tmp_path):
  outcome = studies.run(study, tmp_path / "w", wanted=Wanted(dry_run=True))
  assert "10 cells, 10 to run" in outcome.text
  assert outcome.exit_code == 0
  assert not (tmp_path / "w").exists()


def test_a_report_shows_what_is_done(study, worker, finish, cell_of):
  finish(cell_of(), [1, 1, 2, 2])
  workdir = worker.layout.workdir
  outcome = studies.run(study, workdir, wanted=Wanted(report=True))
  assert "9 cells wait." in outcome.text
  assert (workdir / "results.md").read_text().startswith("## toy")


def test_mistakes_are_told_before_anything_runs(study, tmp_path):
  def read(arguments):
    raise ConfigError(f"{arguments[0]}: no such flag")

  with pytest.raises(ConfigError, match="no such flag"):
    studies.run(study, tmp_path / "w", read_command=read)
  assert not (tmp_path / "w").exists()


def test_a_study_whose_collection_is_not_there_fails_cell_by_cell(
  study, tmp_path, capsys
):
  wanted = Wanted(jobs=2, only=("collection=other,inputs=d2q",))
  outcome = studies.run(study, tmp_path / "w", wanted=wanted)
  assert outcome.exit_code == 1
  [why] = outcome.failed.values()
  assert why.startswith("prepare other: genret prepare ended with 2: ")
  assert "other-atomic-d2q-0: prepare other" in outcome.text
  assert "prepare other: FAILED" in (tmp_path / "w" / "log.txt").read_text()
  assert "1 cells to run, 0 are done" in capsys.readouterr().err


def test_no_jobs_are_refused():
  with pytest.raises(ConfigError, match="jobs is 0"):
    Wanted(jobs=0)
