"""Rows: seeds together, baselines beside them."""

import pytest

from genret.core.errors import DataError
from genret.studies import rows


def test_seeds_of_a_setting_are_one_row(worker, finish, cell_of):
  cells = [cell_of(seed=0), cell_of(seed=1), cell_of("d2q")]
  for cell, places in zip(
    cells, ([1, 1, 2, 2], [1, 2, 2, 2], [1, 1, 1, 1]), strict=True
  ):
    finish(cell, places)
  labelled, d2q = rows.of_cells(worker, cells)
  figure = labelled.figure("RR@10", "all")
  assert figure.interval.mean == pytest.approx((0.75 + 0.625) / 2)
  assert figure.spread == pytest.approx(0.0883883)
  assert str(figure).startswith("0.688 ± 0.088 [")
  assert figure.interval.low < 0.688 < figure.interval.high
  assert str(d2q.figure("RR@10", "uncovered")) == "1.000"
  assert str(d2q.figure("RR@10", "all")) == "1.000 [1.000, 1.000]"
  assert labelled.mean("cpu_minutes") == 9.5


def test_the_worst_seed_says_whether_a_row_is_under_trained(
  worker, finish, cell_of
):
  cells = [cell_of(seed=0), cell_of(seed=1)]
  finish(cells[0], [1, 1, 1, 1], hits=0.99)
  finish(cells[1], [1, 1, 1, 1], hits=0.89, dev=[0.5, 0.5, 0.75])
  [row] = rows.of_cells(worker, cells)
  assert row.hits == 0.89 and row.under_trained
  assert row.rise("RR@10") == 0.125
  [better] = rows.of_cells(worker, cells[:1])
  assert not better.under_trained


def test_what_a_row_knows_is_said_once(worker, cell_of):
  assert rows.knows(worker, cell_of()) == "nothing"
  assert rows.knows(worker, cell_of(docids="semantic")) == "vectors"


def test_baselines_stand_beside_the_cells_of_their_collection(
  study, worker, prepared, cell_of, add_baseline
):
  add_baseline("bm25", [1, 1, 1, 2])
  [row] = rows.baselines(worker, study.cells())
  assert row.name == "bm25" and row.chosen == {"collection": "toy"}
  assert row.figure("RR@10", "all").interval.mean == 0.875
  assert row.hits is None and not row.under_trained and row.mean("x") is None
  study.axes["collection"]["toy"].flags["baselines"] = ("--y",)
  assert rows.baselines(worker, study.cells()) == []  # of other settings


def test_runs_of_other_systems_are_of_this_collection(
  study, worker, prepared, write_run, tmp_path
):
  study.systems["splade"] = {"collection=toy": str(tmp_path / "run.trec")}
  write_run(tmp_path / "run.trec", [1, 1, 1, 2])
  [row] = rows.systems(worker, study.cells())
  assert row.name == "splade"
  text = (tmp_path / "run.trec").read_text()
  (tmp_path / "run.trec").write_text(text.replace(" cat ", " catt "))
  with pytest.raises(DataError, match="document 'catt' is not in collection"):
    rows.systems(worker, study.cells())


def test_parts_without_queries_have_no_figure(worker, finish, cell_of):
  finish(cell_of(), [1, 1, 1, 1])
  [row] = rows.of_cells(worker, [cell_of()])
  row.parts["uncovered"] = ()
  assert row.figure("RR@10", "uncovered") is None
  assert rows.parts_of([row]) == [
    *("all", "covered"),
    *("training queries: 0", "training queries: 1"),
  ]


def test_a_rise_that_one_seed_lacks_is_not_known(worker, finish, cell_of):
  cells = [cell_of(seed=0), cell_of(seed=1)]
  finish(cells[0], [1, 1, 1, 1], dev=[0.5, 0.5, 0.75])
  finish(cells[1], [1, 1, 1, 1], dev=[0.5])
  [row] = rows.of_cells(worker, cells)
  assert row.rise("RR@10") is None and not row.is_rising("RR@10")
  [row] = rows.of_cells(worker, cells[:1])
  assert row.is_rising("RR@10")


def test_queries_about_one_article_count_once(worker, finish, cell_of):
  finish(cell_of(), [1, 1, 2, 2])
  [row] = rows.of_cells(worker, [cell_of()])
  alone = row.figure("RR@10", "all")
  assert alone.clusters == 4
  queries = row.parts["all"]
  paired = dict(zip(queries, "aabb", strict=True))
  [again] = rows.of_cells(worker, [cell_of()])
  object.__setattr__(again, "clusters", paired)
  found = again.figure("RR@10", "all")
  assert found.clusters == 2
  width = found.interval.high - found.interval.low
  assert width > alone.interval.high - alone.interval.low


def test_runs_of_other_systems_are_rows_too(
  study, worker, prepared, write_run, tmp_path
):
  write_run(tmp_path / "splade.trec", [1, 1, 1, 2])
  given = {"collection=toy": str(tmp_path / "splade.trec")}
  study.systems["SPLADE"] = given
  [row] = rows.systems(worker, study.cells())
  assert row.name == "SPLADE" and row.chosen == {"collection": "toy"}
  assert row.figure("RR@10", "all").interval.mean == 0.875
  study.systems["SPLADE"] = {"collection=other": given["collection=toy"]}
  assert rows.systems(worker, study.cells()) == []  # it is not prepared
