import json
from pathlib import Path

import pytest

from genret.core.errors import UserError
from genret.studies import plots, report, report_markdown, table

RESULTS = Path(__file__).parent / "data" / "results.json"
RAW = json.loads(RESULTS.read_text("utf-8"))


def few_plots(raw):
  """Leaves what draws two plots."""
  for row in raw["rows"]:
    row["figures"] = {"all": row["figures"]["all"]}
    row.update(dev=[], diagnostics=None, flops=None, parameters=None)
    row.pop("published", None)


def test_the_same_results_make_the_same_bytes(study_results):
  results = study_results(few_plots)
  first, second = (
    {path: path.read_bytes() for path in report.run(results.folder).files}
    for _ in range(2)
  )
  assert first == second
  assert {path.name for path in first} == {
    *("report.html", "report.md", "cells.csv"),
    *("contrasts.png", "contrasts.svg"),
    *("quality-by-documents.png", "quality-by-documents.svg"),
  }


def test_plots_without_data_are_named(study_results):
  results = study_results(few_plots)
  found = report.run(results.folder)
  assert len(found.left_out) == len(plots.kinds(results)) - 2
  text = (results.folder / report.MARKDOWN).read_text()
  assert "* Training curves: no row looked at dev more than once." in text


def test_a_text_says_what_was_run_found_and_not_seen(made_report):
  text = (made_report / report.MARKDOWN).read_text()
  assert text.startswith("# Study: small\n\n4 settings in 8 cells")
  assert "41.2 CPU-hours; AMD EPYC 7B13, 2 cores, cpu, Linux 6.1; " in text
  titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
  assert titles == [
    *("What was found", "What it had no power to see", "Results", "Plots"),
    *("Training", "Costs and search", "Every cell", "How to read this"),
  ]


def test_the_text_leads_to_plots_that_are_there(made_report):
  text = (made_report / report.MARKDOWN).read_text()
  shown = {part.split(")")[0] for part in text.split("](plots/")[1:]}
  written = {path.name for path in (made_report / "plots").glob("*.png")}
  assert shown == written and len(written) == 13


def test_a_study_without_a_finished_cell_has_a_report(study_results):
  results = study_results(
    lambda raw: raw.update(rows=[], contrasts=[], not_fitted=[], axes={})
  )
  report.run(results.folder)
  text = (results.folder / report.MARKDOWN).read_text()
  assert "No contrast was tested." in text


def without(key):
  """Returns what takes a key from the results, or from all of their rows."""

  def change(raw):
    raw.pop(key, None)
    for row in raw.get("rows", ()):
      row.pop(key, None)

  return change


KEYS = sorted({*RAW, *RAW["rows"][1]} - {"format"})


@pytest.mark.parametrize("key", KEYS)
def test_any_key_may_be_absent(study_results, key):
  results = study_results(without(key))
  text = report_markdown.markdown(
    "Study", report.sections(results, plots.kinds(results))
  )
  assert "## Every cell" in text


def test_without_matplotlib_there_are_no_plots(study_results, monkeypatch):
  monkeypatch.setattr(plots, "available", lambda: False)
  results = study_results()
  found = report.run(results.folder)
  assert found.left_out == [
    "All: matplotlib is not installed; pip install 'genret[plot]' brings it"
  ]
  assert not (results.folder / "plots").exists()
  text = (results.folder / report.MARKDOWN).read_text()
  assert "* All: matplotlib is not installed" in text


def test_what_a_study_writes_is_read(
  study, worker, finish, cell_of, add_baseline, monkeypatch
):
  monkeypatch.setattr(plots, "available", lambda: False)
  add_baseline("bm25", [1, 1, 1, 2])
  for inputs, places in (("labelled", [1, 2, 2, 2]), ("d2q", [1, 1, 1, 1])):
    for seed in (0, 1):
      finish(cell_of(inputs, seed=seed), places)
  table.write(worker, study.cells())
  report.run(worker.layout.workdir)
  text = (worker.layout.workdir / report.MARKDOWN).read_text()
  assert "| d2q | [1.000](<#row-3>)" in text
  assert "2 settings in 4 cells, beside 1 row of baselines" in text


def test_a_folder_without_results_is_refused(tmp_path):
  with pytest.raises(UserError, match="results.json"):
    report.run(tmp_path)
