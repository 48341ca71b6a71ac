from genret.studies import plots_search


def test_what_a_beam_loses_is_below_the_diagonal(study_results):
  (panel,) = plots_search.beam_and_exhaustive(study_results()).panels
  atomic, semantic = panel.series
  assert all(point.x == point.y for point in atomic.points)
  assert all(point.x > point.y for point in semantic.points)


def test_recall_falls_from_symbol_to_symbol(study_results):
  panel, _ = plots_search.prefix_recall(study_results()).panels
  atomic, semantic = panel.series
  assert len(atomic.points) == 1 and len(semantic.points) == 4
  assert panel.x.ticks == {1.0: "1", 2.0: "2", 3.0: "3", 4.0: "4"}
  assert panel.y.label == "R@10 of prefixes"


def test_docids_of_one_symbol_have_no_prefixes(study_results):
  def change(raw):
    for row in raw["rows"]:
      if row["chosen"].get("docids") == "semantic":
        row["diagnostics"] = None

  results = study_results(change)
  assert plots_search.prefix_recall(results).panels == []
  (panel,) = plots_search.beam_and_exhaustive(results).panels
  assert len(panel.series) == 1
