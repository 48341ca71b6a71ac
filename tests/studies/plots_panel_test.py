import dataclasses

import pytest

from genret.studies.plots_panel import Point, Scale


def test_values_are_amounts_unless_said():
  assert Scale(label="documents").shown(4000) == "4k"


def test_points_stay_as_they_are():
  with pytest.raises(dataclasses.FrozenInstanceError):
    Point(x=1, y=2).x = 3
