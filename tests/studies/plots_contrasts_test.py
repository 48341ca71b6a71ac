from genret.studies import plots_contrasts


def test_claims_are_numbered_and_grouped_by_verdict(study_results):
  (panel,) = plots_contrasts.contrasts(study_results()).panels
  assert {one.name: [p.y for p in one.points] for one in panel.series} == {
    "one beats the other": [1.0, 2.0],
    "equivalent": [3.0],
    "no difference seen": [4.0],
  }
  assert panel.downward and panel.margin == 0.02
  second = panel.series[0].points[1]
  assert second.x == 0.055 and second.across[0] > 0


def test_both_rows_of_a_claim_lead_to_their_runs(study_results):
  results = study_results()
  (panel,) = plots_contrasts.contrasts(results).panels
  line = panel.table.lines[1].cells
  assert [cell.text for cell in line[1:3]] == [
    "rung 4k, atomic",
    "rung 4k, semantic",
  ]
  assert line[2].mark == "‡" and len(line[-1].links) == 4


def test_a_claim_of_an_under_trained_row_is_hollow(study_results):
  def change(raw):
    raw["rows"][1]["under_trained"] = True

  (panel,) = plots_contrasts.contrasts(study_results(change)).panels
  assert [p.hollow for p in panel.series[0].points] == [True, False]


def test_no_contrast_is_no_plot(study_results):
  results = study_results(lambda raw: raw.update(contrasts=[]))
  assert plots_contrasts.contrasts(results).panels == []
