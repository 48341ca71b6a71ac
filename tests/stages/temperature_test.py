import json

from genret.stages import temperature
from genret.stages.temperature import Trial

FOUND = {0.02: 0.3, 0.05: 0.6, 0.1: 0.6}


def test_the_first_of_the_best_is_taken_and_none_is_tried_twice(tmp_path):
  tried = []

  def attempt(value):
    tried.append(value)
    if len(tried) == 2:
      raise KeyboardInterrupt
    return Trial(measures={"RR@10": FOUND[value]}, cpu_seconds=1.0)

  def choose():
    return temperature.chosen(
      tuple(FOUND), attempt, measure="RR@10", path=tmp_path / "tuning.json"
    )

  try:
    choose()
  except KeyboardInterrupt:
    pass
  assert choose() == 0.05
  assert tried == [0.02, 0.05, 0.05, 0.1]
  kept = json.loads((tmp_path / "tuning.json").read_text())
  assert kept["0.02"] == {"measures": {"RR@10": 0.3}, "cpu_seconds": 1.0}


def test_a_lone_temperature_is_not_tried(tmp_path):
  path = tmp_path / "tuning.json"
  found = temperature.chosen((0.07,), None, measure="RR@10", path=path)
  assert found == 0.07 and not path.exists()
