"""The tables of a study, in markdown and CSV."""

import csv

from genret.core import artifacts
from genret.studies import table


def test_tables_have_seeds_baselines_orders_and_what_is_missing(
  study, worker, finish, cell_of, add_baseline
):
  layout = worker.layout
  add_baseline("bm25", [1, 1, 1, 2])
  finish(cell_of(seed=0), [1, 1, 2, 2])
  finish(cell_of(seed=1), [1, 2, 2, 2], dev=(0.25, 0.5, 0.75))
  finish(cell_of("d2q"), [1, 1, 1, 1], hits=0.5)
  artifacts.write_text(layout.failure(cell_of("d2q", seed=1)), "no disk\n")
  text = table.write(worker, study.cells())
  assert (layout.workdir / "results.md").read_text() == text + "\n"
  lines = text.splitlines()
  assert lines[:3] == ["## toy", "", "all test queries: 4"]
  shown = [_parts(line) for line in lines[6:9]]
  assert shown[0][0] == "bm25" and shown[0][-3].startswith("0.875 [")
  assert shown[1][:9] == [
    *("atomic", "labelled", "nothing", "1,234", "9.5", "2", "100", "1.000"),
    "yes, +0.125",
  ]
  assert shown[1][9].startswith("0.688 ± 0.088 [")
  assert shown[2][7] == "0.500, under-trained"
  assert "covered test queries: 3" in lines
  assert "uncovered test queries: 1" in lines
  assert (
    "* toy, atomic: no two choices to put in an order; under-trained: d2q;"
    " not at a plateau: labelled" in lines
  )
  assert "* toy-atomic-d2q-1: no disk" in lines
  assert "* vectors: learned elsewhere." in lines
  assert lines[-1] == "6 cells wait."


def _parts(line):
  return [part.strip() for part in line.split("|")[1:-1]]


def test_a_baseline_stands_where_it_depends_on_nothing(
  study, worker, finish, cell_of, add_baseline
):
  study.axes["docids"]["atomic"].flags["baselines"] = ("--z",)
  add_baseline("bm25", [1, 1, 1, 2], folder="toy-atomic")
  finish(cell_of(), [1, 1, 2, 2])
  lines = table.write(worker, study.cells()).splitlines()
  assert _parts(lines[6])[:2] == ["atomic", "bm25"]


def test_csv_has_a_line_for_each_row_part_and_measure(
  study, worker, finish, cell_of
):
  finish(cell_of(), [1, 1, 2, 4], hits=0.5)
  table.write(worker, study.cells())
  with open(worker.layout.workdir / "results.csv", newline="") as file:
    found = list(csv.DictReader(file))
  assert len(found) == 5 * 3  # nobody asked for an answer twice
  parts = {(row["queries"], row["measure"]): row for row in found}
  row = parts["uncovered", "RR@10"]
  assert (row["docids"], row["inputs"]) == ("atomic", "labelled")
  assert (row["mean"], row["num_queries"]) == ("0.25", "1")
  assert (row["low"], row["high"]) == ("", "")  # one query tells of no other
  assert (row["memorised"], row["under_trained"]) == ("0.5", "True")
  assert float(parts["covered", "RR@10"]["mean"]) == 2.5 / 3


def test_figures_of_other_settings_are_not_shown(
  study, worker, finish, cell_of
):
  finish(cell_of(), [1, 1, 1, 1])
  path = worker.layout.result(cell_of())
  path.write_text(path.read_text().replace('"settings": "', '"settings": "x'))
  text = table.write(worker, study.cells())
  assert text.startswith("No cell has its figures yet.")
  assert "other settings; remove their folders" in text
  assert "* toy-atomic-labelled-0" in text


def test_a_report_of_nothing_leaves_no_folder(study, worker):
  assert "10 cells wait." in table.write(worker, study.cells())
  assert not worker.layout.workdir.exists()


def test_cells_that_lack_a_value_are_listed_and_no_more(
  study, worker, finish, cell_of
):
  finish(cell_of(), [1, 1, 1, 1])
  other = study.axes["collection"]["other"]
  other.flags["prepare"] = ("--source={source}",)
  other.values["source"] = "published"
  finish(cell_of(collection="other"), [1, 1, 1, 1])
  other.values["source"] = None
  text = table.write(worker, study.cells())
  assert text.startswith("## toy")
  assert "* other-atomic-labelled-0: {source} is not set" in text
  assert "## other" not in text


def test_what_dev_does_not_tell_is_a_question_mark(worker, finish, cell_of):
  finish(cell_of(), [1, 1, 1, 1], dev=())
  text = table.write(worker, worker.layout.study.cells())
  assert "| 1.000 | ? |" in text
