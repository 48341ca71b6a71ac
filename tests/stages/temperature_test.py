import json

import pytest

from genret.stages import temperature
from genret.stages.temperature import Trial
from genret.training.loop import DivergedError

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
  assert kept["0.02"] == {
    "measures": {"RR@10": 0.3},
    "cpu_seconds": 1.0,
    "diverged": None,
  }


def test_a_lone_temperature_is_not_tried(tmp_path):
  path = tmp_path / "tuning.json"
  found = temperature.chosen((0.07,), None, measure="RR@10", path=path)
  assert found == 0.07 and not path.exists()


def test_a_temperature_that_diverges_is_lost(tmp_path, capsys):
  def attempt(value):
    if value < 0.1:
      raise DivergedError("The loss became nan")
    return Trial(measures={"RR@10": FOUND[value]}, cpu_seconds=1.0)

  path = tmp_path / "tuning.json"
  found = temperature.chosen(tuple(FOUND), attempt, measure="RR@10", path=path)
  assert found == 0.1
  kept = json.loads(path.read_text())
  assert kept["0.02"]["diverged"] == "The loss became nan"
  assert not kept["0.02"]["measures"]
  said = capsys.readouterr().out
  assert "temperature 0.02 diverged and is lost: The loss became nan" in said
  assert "0.1 of 0.02: diverged, 0.05: diverged, 0.1: 0.600" in said


def test_a_run_fails_where_every_temperature_diverges(tmp_path):
  tried = []

  def attempt(value):
    tried.append(value)
    raise DivergedError(f"The loss became nan at {value}")

  path = tmp_path / "tuning.json"
  for _ in range(2):  # the second time without trying again
    with pytest.raises(DivergedError, match="Every temp.*diverged.* at 0.1"):
      temperature.chosen(tuple(FOUND), attempt, measure="RR@10", path=path)
  assert tried == list(FOUND)
