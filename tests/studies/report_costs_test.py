from genret.studies import report_costs


def test_costs_have_a_column_for_each_number(study_results):
  flops, speed, parts = report_costs.costs(study_results())
  assert flops.head == [
    "row",
    *("training step, counted", "training step, compiled"),
    *("training step, formula", "query, counted", "query, formula"),
    *("a query", "all of training"),
  ]
  assert [cell.text for cell in flops.lines[0].cells[1:4]] == [
    *("410G", "430G", "400G")
  ]
  assert "index (bytes)" in speed.head and "device-hours" in speed.head
  assert parts.head == ["row", "all", "decoder", "encoder", "trained"]
  assert len(parts.lines) == 4  # no baseline has parameters


def test_rows_without_numbers_are_left_out(study_results):
  def change(raw):
    raw["rows"][1].update(costs=None, flops=None)

  flops, *_ = report_costs.costs(study_results(change))
  assert flops.lines[0].cells[0].text == "rung 1k, semantic"


def test_what_nobody_measured_has_no_table(study_results):
  def change(raw):
    for row in raw["rows"]:
      row.update(costs=None, flops=None, diagnostics=None)

  results = study_results(change)
  assert report_costs.costs(results) == []
  assert report_costs.diagnostics(results) == []


def test_search_errors_stand_beside_both_searches(study_results):
  (table,) = report_costs.diagnostics(study_results())
  line = table.lines[1].cells
  assert line[0].text == "rung 1k, semantic"
  assert [cell.text for cell in line[1:5]] == ["200", "0.520", "0.532", "0.030"]
  assert (table.head[-1], line[-1].text) == ("invalid beams", "0.210")


def test_under_trained_rows_are_marked(study_results):
  def change(raw):
    raw["rows"][1]["under_trained"] = True

  results = study_results(change)
  for table in (
    *report_costs.costs(results),
    *report_costs.diagnostics(results),
  ):
    assert table.lines[0].cells[0].mark == "†"
