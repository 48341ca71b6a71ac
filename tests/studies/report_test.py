import pytest

from genret.core.errors import UserError
from genret.studies import report


def test_the_same_results_make_the_same_bytes(study_results):
  results = study_results()
  before = {}
  for _ in range(2):
    made = report.run(results.folder)
    found = {path: path.read_bytes() for path in made.files}
    assert not before or before == found
    before = found
  names = {path.name for path in before}
  assert names >= {"report.md", "cells.csv"}


def test_a_text_says_what_was_run_found_and_not_seen(study_results):
  results = study_results()
  report.run(results.folder)
  text = (results.folder / report.MARKDOWN).read_text()
  assert text.startswith("# Study: small\n\n## What was run\n\n4 settings in 8")
  assert "41.2 CPU-hours; AMD EPYC 7B13, 2 cores, cpu, Linux 6.1; " in text
  titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
  assert titles[:4] == [
    "What was run",
    "What was found",
    "What it had no power to see",
    "Results",
  ]


def test_a_study_without_a_finished_cell_has_a_report(study_results):
  results = study_results(
    lambda raw: raw.update(rows=[], contrasts=[], not_fitted=[], axes={})
  )
  report.run(results.folder)
  text = (results.folder / report.MARKDOWN).read_text()
  assert "No contrast was tested." in text


def test_a_folder_without_results_is_refused(tmp_path):
  with pytest.raises(UserError, match="results.json"):
    report.run(tmp_path)
