import pytest

from genret.studies import plots_training


def test_the_mean_over_seeds_before_their_lines(study_results):
  results = study_results()
  panel, _ = plots_training.training_curves(results).panels
  atomic = panel.series[0]
  seeds = results.rows[1].raw["dev"]
  assert len(atomic.faint) == 2
  assert atomic.faint[1][0] == (1000, seeds[1][0]["RR@10"])
  mean = (seeds[0][-1]["RR@10"] + seeds[1][-1]["RR@10"]) / 2
  assert atomic.points[-1].y == pytest.approx(mean)
  looks = panel.table.lines[0].cells
  assert looks[1].text == "3" and looks[4].text == f"{mean:.3f}"


def test_one_look_is_no_curve(study_results):
  def change(raw):
    for row in raw["rows"]:
      row["dev"] = [seed[:1] for seed in row.get("dev", ())]

  assert plots_training.training_curves(study_results(change)).panels == []
