"""Costs and examples a step, and what a budget makes of them."""

import dataclasses
import json

from genret.core import artifacts
from genret.studies import calibration
from genret.studies.calibration import Calibration, Cost

COST = Cost(start=40.0, step=0.7, first_look=20.0, look=6.0)
KNOWN = Calibration(cost=COST, examples_a_step=128.0, documents=2000)


def test_a_budget_of_minutes_holds_the_whole_run():
  steps = COST.steps(10.0, looks=10)
  assert steps == (600 - 40 - 20 - 9 * 6) / 0.7 // 1
  assert COST.minutes(steps, looks=10) <= 10 < COST.minutes(steps + 1, looks=10)
  assert COST.steps(0.5, looks=10) < 0


def test_a_budget_of_exposures_reads_as_many_examples_or_one_step_more():
  steps = KNOWN.steps(exposures=33.0, minutes=None, looks=10)
  assert KNOWN.exposures(steps - 1) < 33.0 <= KNOWN.exposures(steps)


def test_a_record_is_read_as_it_was(tmp_path):
  path = tmp_path / "record.json"
  path.write_text(json.dumps(dataclasses.asdict(KNOWN)))
  assert Calibration.read(artifacts.read_json(path)) == KNOWN


def test_scalars_of_event_files_are_read_by_tag(tmp_path):
  from clu import metric_writers

  writer = metric_writers.SummaryWriter(str(tmp_path))
  writer.write_scalars(1, {"a": 0.5})
  writer.write_scalars(3, {"a": 0.25, "dev/b": 1.0})
  writer.close()
  assert calibration.scalars(tmp_path) == {
    "a": {1: 0.5, 3: 0.25},
    "dev/b": {3: 1.0},
  }
