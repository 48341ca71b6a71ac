import pytest

from genret.studies import plots_rows
from genret.studies.plots_panel import Panel, Point, Scale


def by_documents(results):
  return lambda row: plots_rows.of_row(
    results, row, x=row.number_of("documents"), y=row.figure("RR@10")
  )


def more_inputs(raw):
  """Adds the same rows with other inputs, and under-trained."""
  for row in list(raw["rows"]):
    if not row["name"]:
      chosen = {**row["chosen"], "inputs": "firstp"}
      raw["rows"].append({**row, "chosen": chosen, "under_trained": True})


def test_a_series_for_each_setting_over_all_rungs(study_results):
  results = study_results()
  bm25, atomic, semantic = plots_rows.grouped(
    results, results.rows, by_documents(results), joined=True
  )
  assert [one.name for one in (bm25, atomic, semantic)] == [
    "BM25",
    "atomic",
    "semantic",
  ]
  assert [point.x for point in atomic.points] == [1000, 4000]
  assert atomic.joined and bm25.joined
  figure = results.rows[1].figure("RR@10")
  assert atomic.points[0].along == (figure.low, figure.high)


def test_points_that_are_not_known_are_left_out(study_results):
  results = study_results(lambda raw: raw["rows"][1].update(documents=None))
  found = plots_rows.grouped(
    results, results.rows, by_documents(results), joined=True
  )
  (atomic,) = [one for one in found if one.name == "atomic"]
  assert [point.x for point in atomic.points] == [4000]
  assert not atomic.joined


def test_looks_tell_docids_by_colour_and_all_else_by_dash(study_results):
  results = study_results(more_inputs)
  looks = plots_rows.Looks(results)
  bm25, atomic, semantic = (looks.of(row) for row in results.rows[:3])
  other = looks.of(results.rows[6])
  assert bm25.colour is None
  assert atomic.colour == other.colour != semantic.colour
  assert atomic.dash == semantic.dash != other.dash
  markers = {look.marker for look in (bm25, atomic, semantic, other)}
  assert len(markers) == 4


def test_under_trained_points_are_hollow(study_results):
  results = study_results(more_inputs)
  found = plots_rows.grouped(results, results.rows, by_documents(results))
  assert {one.name: one.points[0].hollow for one in found} == {
    "BM25": False,
    "atomic, d2q_labelled": False,
    "semantic, d2q_labelled": False,
    "atomic, firstp": True,
    "semantic, firstp": True,
  }


def test_baselines_stand_in_each_part_they_hold_in(study_results):
  results = study_results(more_inputs)
  parts = plots_rows.facets(results, ["inputs"])
  assert [where for where, _ in parts] == ["d2q_labelled", "firstp"]
  for _, rows in parts:
    assert [row.name for row in rows].count("BM25") == 2
  rungs = plots_rows.facets(results, results.axes.bed)
  assert [where for where, _ in rungs] == ["rung 1k", "rung 4k"]
  for _, rows in rungs:
    assert [row.name for row in rows].count("BM25") == 1


def test_axes_of_one_choice_part_nothing(study_results):
  results = study_results()
  assert plots_rows.facets(results, ["collection"])[0][0] == ""


@pytest.mark.parametrize(("most", "parts"), [(4, 2), (3, 4)])
def test_many_series_are_parted(study_results, monkeypatch, most, parts):
  monkeypatch.setattr(plots_rows, "MANY", most)
  results = study_results(more_inputs)
  assert len(plots_rows.parted(results, results.axes.bed)) == parts


def test_a_plot_of_two_figures_has_both_intervals(study_results):
  results = study_results()

  def point(row):
    figures = (row.figure("RR@10"), row.figure("RR@10", "covered"))
    return plots_rows.both(results, row, figures)

  (panel,) = plots_rows.against(
    results, point, name="all and covered", sides=("all", "covered")
  )
  found = panel.series[0].points[0]
  assert found.across[0] < found.x < found.across[1]
  assert found.along[0] < found.y < found.along[1]
  assert panel.diagonal and panel.x.label == "RR@10, all"
  nothing = plots_rows.against(
    results, lambda row: None, name="x", sides=("a", "b")
  )
  assert nothing == []


def test_figures_of_a_plot_lead_to_their_runs(study_results):
  results = study_results(more_inputs)
  panel = Panel(
    name="p",
    title="P",
    x=Scale(label="documents"),
    y=Scale(label="RR@10"),
    series=plots_rows.grouped(results, results.rows, by_documents(results)),
  )
  table = plots_rows.table(results, panel)
  assert table.head == ["row", "documents", "RR@10", "runs"]
  first, *_, last = table.lines
  assert first.cells[0].text == "rung 1k, BM25" and first.cells[1].text == "1k"
  assert [link.href for link in first.cells[-1].links] == list(
    results.rows[0].runs
  )
  assert last.cells[0].mark.startswith("†") and len(last.cells[-1].links) == 2


def test_a_point_that_is_of_no_row_has_no_runs(study_results):
  results = study_results()
  series = plots_rows.line(results, results.rows[1], [Point(x=1, y=2)])
  assert series.joined and series.name == "atomic"
