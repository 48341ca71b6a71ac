import pytest

from genret.studies import plots_published


def test_ours_stand_against_published_figures(study_results):
  (panel,) = plots_published.ours_and_published(study_results()).panels
  assert panel.name == "ours-and-published-rr-10"
  assert [one.points[0].x for one in panel.series] == [0.792, 0.768]


def test_each_published_figure_has_a_point(study_results):
  def change(raw):
    one = raw["rows"][1]["published"][0]
    raw["rows"][1]["published"] = [one, {**one, "value": 76.0}]

  (panel,) = plots_published.ours_and_published(study_results(change)).panels
  assert [p.x for p in panel.series[0].points] == [0.76, 0.792]


def test_differences_stand_in_a_table(study_results):
  results = study_results()
  line = plots_published.table(results).lines[0].cells
  ours = results.rows[1].figure("RR@10").mean
  assert line[1].text == "arXiv 2305.11841, table 3, row 3a"
  assert line[4].text == "0.792"
  assert float(line[5].text.replace("−", "-")) == pytest.approx(
    ours - 0.792, abs=6e-4
  )


def test_other_measures_are_no_match(study_results):
  def change(raw):
    for row in raw["rows"]:
      for one in row.get("published", ()):
        one["measure"] = "R@5"

  results = study_results(change)
  assert plots_published.table(results) is None
  assert plots_published.ours_and_published(results).panels == []
