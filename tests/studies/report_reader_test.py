import json

import pytest

from genret.core.errors import DataError, UserError
from genret.studies import report_reader


def test_rows_and_their_figures(study_results):
  bm25, atomic = study_results().rows[:2]
  assert (bm25.name, bm25.seeds, bm25.num_cells) == ("BM25", (), 1)
  assert (atomic.name, atomic.seeds, atomic.num_cells) == ("", (0, 1), 2)
  found = atomic.figure("RR@10")
  assert found.queries == 1000 and len(found.per_seed) == 2
  assert found.low < found.mean < found.high
  assert atomic.of_seed(1, "RR@10") == found.per_seed[1]
  assert bm25.of_seed(0, "RR@10") == bm25.figure("RR@10").mean
  assert atomic.figure("nDCG@10") is None is atomic.figure("RR@10", "odd")


def test_cells_of_pooled_folds_have_seeds_and_no_figures(study_results):
  def change(raw):
    raw["rows"][1]["runs"] = [
      f"{seed}/{fold}" for seed in "01" for fold in "ab"
    ]

  _, pooled = study_results(change).rows[:2]
  assert [pooled.seed_of(i) for i in range(5)] == [0, 0, 1, 1, None]
  assert pooled.of_seed(0, "RR@10") is None
  assert pooled.figure("RR@10") is not None


def test_what_is_not_known_is_none(study_results):
  results = study_results(lambda raw: raw.update(rows=[{}], measures=[]))
  (row,) = results.rows
  assert row.figure("RR@10") is None and row.number_of("flops", "query") is None
  assert not row.under_trained and not row.is_rising and row.num_cells == 1
  assert results.measure == "" and results.axes.ladder is None


def test_axes_are_told_apart(study_results):
  axes = study_results().axes
  assert axes.bed == ("collection", "rung", "coverage")
  assert (axes.ladder, axes.docids, axes.others) == (
    "rung",
    "docids",
    ("inputs",),
  )
  assert axes.varying == {"rung", "docids"}


def test_a_slope_names_the_ladder(study_results):
  def change(raw):
    raw["slopes"] = [{"of": dict.fromkeys(set(raw["axes"]) - {"inputs"}, "x")}]

  assert study_results(change).axes.ladder == "inputs"


def test_other_collections_are_no_ladder(study_results):
  def change(raw):
    for row in raw["rows"]:
      row["chosen"]["collection"] = row["chosen"].pop("rung")
    del raw["axes"]["rung"]

  assert study_results(change).axes.ladder is None


def test_a_row_is_found_by_its_choices(study_results):
  results = study_results()
  atomic = results.rows[1]
  assert results.row_of(atomic.chosen) is atomic
  assert results.row_of({**atomic.chosen, "inputs": "other"}) is None
  named = {**results.rows[0].chosen, "name": "BM25"}
  assert results.row_of(named) is results.rows[0]


def test_run_files_may_be_compressed_or_gone(study_results):
  results = study_results()
  path = results.rows[1].runs[0]
  assert results.run_file(path) == path
  (results.folder / path).rename(results.folder / f"{path}.gz")
  assert results.run_file(path) == f"{path}.gz"
  assert results.run_file("") == results.run_file("none/run.trec") == ""


def test_a_folder_without_results_says_what_makes_them(tmp_path):
  with pytest.raises(UserError, match="no results.json.*genret study"):
    report_reader.read(tmp_path)


@pytest.mark.parametrize(
  ("text", "why"),
  [
    ("{", "no JSON"),
    ("[]", "a list, not an object"),
    (json.dumps({"format": 2}), "format 2; this genret reads 1"),
    ("{}", "format None"),
    ('{"format": 1, "rows": {}}', "rows is a dict; expected a list"),
    ('{"format": 1, "rows": [3]}', "rows, the 1.: 3 is no object"),
    ('{"format": 1, "axes": []}', "axes is a list; expected a dict"),
  ],
)
def test_results_of_another_kind_are_refused(text, why, tmp_path):
  path = tmp_path / report_reader.FILE
  path.write_text(text)
  with pytest.raises(DataError, match=why) as caught:
    report_reader.read(tmp_path)
  assert str(path) in str(caught.value)
