"""What a study found, as data."""

import dataclasses
import json

import pytest

from genret.core import artifacts
from genret.studies import contrasts, findings, rows, summary, table
from genret.studies.contrasts import Pair


@pytest.fixture
def found(study, worker, finish, cell_of, add_baseline):
  """results.json of three cells, a baseline, and one that failed."""
  layout = worker.layout
  add_baseline("bm25", [1, 1, 1, 2])
  finish(cell_of(seed=0), [1, 1, 2, 2])
  finish(cell_of(seed=1), [1, 2, 2, 2])
  finish(cell_of("d2q"), [1, 1, 1, 1], hits=0.5)
  artifacts.write_text(layout.failure(cell_of("d2q", seed=1)), "no disk\n")
  costs = {"latency": {"p50": 2.0}, "flops": {"query": 10, "training": 30}}
  for seed, p50 in ((0, 1.0), (1, 2.0)):
    costs["latency"]["p50"] = p50
    artifacts.write_json(layout.cell(cell_of(seed=seed)) / summary.COSTS, costs)
  table.write(worker, study.cells())
  return json.loads((layout.workdir / summary.FILE).read_text())


def test_the_head_says_what_was_asked(found):
  assert found["format"] == 1
  assert found["axes"]["inputs"] == ["labelled", "d2q"]
  assert found["axis_order"] == ["collection", "docids", "inputs"]
  assert found["collection_axes"] == ["collection"]
  assert found["ladder_axis"] is None
  assert (found["compared"], found["split"]) == ("inputs", "test")
  assert found["measures"] == ["RR@10", "R@1", "R@10"]
  assert found["plateau"] is True and found["memorised"] == 0.9
  assert found["margin"] == 0.02 and found["rising"] == 0.005
  assert found["notes"] == {"vectors": "learned elsewhere"}


def test_a_row_has_its_seeds_files_and_figures(found):
  bm25, labelled, d2q = found["rows"]
  assert bm25["name"] == "bm25" and bm25["chosen"] == {"collection": "toy"}
  assert bm25["runs"] == ["shared/baselines/toy/bm25/run.trec"]
  assert bm25["cells"] == bm25["seeds"] == bm25["dev"] == []
  assert bm25["parameters"] is None and bm25["costs"] is None
  assert labelled["chosen"] == {
    "collection": "toy",
    "docids": "atomic",
    "inputs": "labelled",
  }
  assert labelled["seeds"] == [0, 1] and labelled["documents"] == 4
  assert labelled["cells"] == [
    f"cells/toy-atomic-labelled-{seed}" for seed in (0, 1)
  ]
  assert labelled["runs"][1] == "cells/toy-atomic-labelled-1/run.trec"
  figure = labelled["figures"]["all"]["RR@10"]
  assert figure["per_seed"] == [0.75, 0.625] and figure["mean"] == 0.6875
  assert figure["low"] < 0.6875 < figure["high"]
  assert figure["spread"] == pytest.approx(0.0883883)
  assert labelled["figures"]["uncovered"]["num_queries"] == 1
  assert labelled["cpu_minutes"] == 9.5 and not labelled["was_killed"]
  assert labelled["dev"][0] == [{"RR@10": 0.5}] * 3
  assert d2q["under_trained"] and d2q["memorised"] == 0.5


def test_costs_are_means_over_seeds_that_have_them(found):
  _, labelled, d2q = found["rows"]
  assert labelled["costs"]["latency"] == {"p50": 1.5}
  assert labelled["flops"] == {"query": 10, "training": 30}
  assert d2q["costs"] is None and d2q["flops"] is None


def test_cells_without_figures_are_named(found):
  assert found["missing"]["failed"] == [["toy-atomic-d2q-1", "no disk"]]
  assert "toy-semantic-d2q-0" in found["missing"]["waiting"]
  assert found["missing"]["left_out"] == []
  assert found["cpu_hours"] == pytest.approx((9 + 10 + 9) / 60)


def test_what_was_found_does_not_depend_on_when(study, worker, found):
  again = summary.FILE
  table.write(worker, study.cells())
  second = json.loads((worker.layout.workdir / again).read_text())
  assert {**second, "made": None} == {**found, "made": None}


def test_contrasts_say_what_was_asked_before_and_what_was_not(
  study, worker, finish, cell_of
):
  study.contrasts["inputs"] = ("inputs=d2q", "inputs=labelled")
  study.contrasts["ids"] = ("docids=atomic", "docids=semantic")
  finish(cell_of(), [1, 1, 2, 2])
  finish(cell_of("d2q"), [1, 1, 1, 1])
  table.write(worker, study.cells())
  path = worker.layout.workdir / summary.FILE
  asked, order = json.loads(path.read_text())["contrasts"]
  assert asked["name"] == "inputs" and asked["named_before"]
  assert not order["named_before"] and order["name"] == "d2q and labelled"
  assert asked["a"]["inputs"] == "d2q" and asked["b"]["inputs"] == "labelled"
  assert asked["difference"] == order["difference"] == 0.25
  assert asked["p"] == asked["p_corrected"] == 0.5
  assert asked["verdict"] == "no difference seen"
  assert asked["detectable"] > 0.25
  assert json.loads(path.read_text())["untested"] == [
    ["ids", "no two rows have their figures"]
  ]
  text = (worker.layout.workdir / "results.md").read_text()
  assert "## Asked before the run, by RR@10\n\n* inputs: no diff" in text
  assert "* ids: not tested, no two rows have their figures" in text


def test_a_baseline_in_a_contrast_has_its_name(
  study, worker, finish, cell_of, add_baseline
):
  add_baseline("bm25", [1, 1, 1, 2])
  study.contrasts["words"] = ("inputs=labelled", "baseline=bm25")
  finish(cell_of(), [1, 1, 2, 2])
  table.write(worker, study.cells())
  path = worker.layout.workdir / summary.FILE
  [asked] = json.loads(path.read_text())["contrasts"]
  assert asked["b"] == {"collection": "toy", "name": "bm25"}


def test_baselines_of_finished_cells_that_are_missing_are_listed(
  study, worker, finish, cell_of, add_baseline
):
  study.axes["collection"]["toy"].flags["baselines"] = ("--x",)
  finish(cell_of(), [1, 1, 2, 2])
  assert summary.missing(worker, study.cells()).baselines == {
    "baselines toy": "not made with these settings; see logs/baselines-toy.log"
  }
  add_baseline("bm25", [1, 1, 1, 2])
  assert summary.missing(worker, study.cells()).baselines == {}


def test_a_contrast_of_one_article_has_no_interval(worker, finish, cell_of):
  finish(cell_of(), [1, 1, 2, 2])
  finish(cell_of("d2q"), [1, 1, 1, 1])
  cells = [cell_of(), cell_of("d2q")]
  one, other = (
    dataclasses.replace(row, clusters=dict.fromkeys(row.parts["all"], 7))
    for row in rows.of_cells(worker, cells)
  )
  [contrast] = contrasts.of_pairs(
    [Pair(name="one", a=one, b=other)], measure="RR@10", named_before=True
  )
  said = summary._contrast(contrast)
  assert said["low"] is said["high"] is said["detectable"] is None
  assert "[" not in str(contrast) and "sees nothing" in str(contrast)


def test_the_machine_is_that_of_a_cell_and_of_its_costs(
  worker, study, finish, cell_of
):
  finish(cell_of(), [1, 1, 2, 2])
  result = worker.layout.result(cell_of())
  known = {"cpu": "a cpu", "cores": 2, "device": None, "system": "Linux"}
  given = json.loads(result.read_text())
  artifacts.write_json(result, {**given, "machine": known})
  found = findings.of(worker, study.cells())
  made = summary.of(worker, study.cells(), found)
  assert made["machine"] == known
  costs = {"machine": {"device": "1 x H200"}}
  artifacts.write_json(worker.layout.cell(cell_of()) / summary.COSTS, costs)
  made = summary.of(worker, study.cells(), found)
  assert made["machine"] == {**known, "device": "1 x H200"}


def test_costs_in_the_model_folder_count_too(worker, study, finish, cell_of):
  finish(cell_of(), [1, 1, 2, 2])
  costs = {"flops": {"query": 7}}
  path = worker.layout.model(cell_of()) / summary.COSTS
  artifacts.write_json(path, costs)
  table.write(worker, study.cells())
  path = worker.layout.workdir / summary.FILE
  [row] = json.loads(path.read_text())["rows"]
  assert row["costs"] == costs and row["flops"] == {"query": 7}
  assert row["published"] == []
