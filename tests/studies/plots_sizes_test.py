from genret.studies import plots_sizes


def test_one_plot_of_a_ladder_with_its_rungs_as_ticks(study_results):
  kind = plots_sizes.by_documents(study_results())
  (panel,) = kind.panels
  assert panel.name == "quality-by-documents"
  assert panel.x.log and panel.x.label == "documents (log)"
  assert panel.x.ticks == {1000: "1k", 4000: "4k"}
  assert [one.joined for one in panel.series] == [True] * 3
  assert all(one.fit is None for one in panel.series)


def test_slopes_are_drawn_where_they_were_fitted(study_results):
  def change(raw):
    of = dict(raw["rows"][2]["chosen"])
    del of["rung"]
    raw["slopes"] = [{"of": of, "slope_per_decade": -0.1, "low": -0.2}]

  (panel,) = plots_sizes.by_documents(study_results(change)).panels
  _, atomic, semantic = panel.series
  assert atomic.fit is None
  fit = semantic.fit
  assert (fit.slope, fit.low, fit.high) == (-0.1, -0.2, -0.1)


def test_one_size_of_corpus_is_no_ladder(study_results):
  def change(raw):
    del raw["rows"][3:]

  kind = plots_sizes.by_documents(study_results(change))
  assert kind.panels == [] and "same number" in kind.lack


def test_costs_are_of_the_largest_rung(study_results):
  parameters, query, training = plots_sizes.by_cost(study_results())
  (panel,) = parameters.panels
  assert "largest corpus" in parameters.caption
  points = [point for one in panel.series for point in one.points]
  assert {p.row.number_of("documents") for p in points} == {4000}
  assert not panel.x.log
  assert query.panels[0].x.log
  assert query.panels[0].x.ticks[5e8] == "500M"
  assert training.panels == [] and "FLOPs of training" in training.lack


def test_synthetic_queries_are_joined_along_their_axis(study_results):
  def change(raw):
    raw["axes"]["inputs"] = ["5", "20"]
    raw["rows"] = [row for row in raw["rows"] if row["documents"] == 1000]
    for row in list(raw["rows"][1:]):
      row["chosen"]["inputs"], row["synthetic_queries"] = "5", 5
      chosen = {**row["chosen"], "inputs": "20"}
      raw["rows"].append({**row, "chosen": chosen, "synthetic_queries": 20})

  (panel,) = plots_sizes.by_queries(study_results(change)).panels
  assert [one.name for one in panel.series] == ["atomic", "semantic"]
  assert all(one.joined for one in panel.series)
  assert [[p.x for p in one.points] for one in panel.series] == [[5, 20]] * 2
  assert panel.x.ticks == {5: "5", 20: "20"}


def test_the_same_number_of_queries_is_no_plot(study_results):
  assert plots_sizes.by_queries(study_results()).panels == []
