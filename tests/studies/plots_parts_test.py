from genret.studies import plots_parts


def test_unseen_documents_stand_against_seen(study_results):
  results = study_results()
  (panel,) = plots_parts.seen_and_unseen(results).panels
  row = results.rows[1]
  (point,) = [
    point for one in panel.series for point in one.points if point.row is row
  ]
  assert point.x == row.figure("RR@10", "covered").mean
  assert point.y == row.figure("RR@10", "uncovered").mean


def test_parts_that_are_not_known_are_no_plot(study_results):
  def change(raw):
    for row in raw["rows"]:
      row["figures"] = {"all": row["figures"]["all"]}

  results = study_results(change)
  assert plots_parts.seen_and_unseen(results).panels == []
  assert plots_parts.by_training_queries(results).panels == []


def test_a_line_for_each_row_by_training_queries(study_results):
  small, large = plots_parts.by_training_queries(study_results()).panels
  assert (small.title, large.name) == (
    "RR@10 by training queries: rung 1k",
    "quality-by-training-queries-rung-4k",
  )
  assert [one.name for one in large.series] == ["atomic", "semantic‡"]
  points = small.series[0].points
  assert [small.x.shown(point.x) for point in points] == list(
    plots_parts.COUNTS
  )
