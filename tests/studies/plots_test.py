import dataclasses

import pytest

from genret.studies import plots
from genret.studies.plots_panel import Fit, Look, Panel, Point, Scale, Series

POINTS = [
  Point(x=1e3, y=0.5, along=(0.4, 0.6), label="first"),
  Point(x=1e4, y=0.3, across=(9e3, 2e4), hollow=True),
]


@pytest.fixture
def panel():
  return Panel(
    name="sizes",
    title="By size",
    x=Scale(label="documents", log=True, ticks={1e3: "1k", 1e4: "10k"}),
    y=Scale(label="RR@10", from_zero=True),
    series=[
      Series(
        name="a",
        look=Look(),
        points=POINTS,
        joined=True,
        fit=Fit(slope=-0.2, low=-0.3, high=-0.1),
      ),
      Series(name="b", look=Look(colour=None, marker=1), points=POINTS[:1]),
    ],
  )


def test_a_plot_is_two_files_that_say_what_they_show(panel, tmp_path):
  found = plots.write(tmp_path / "plots", panel)
  assert found["png"].read_bytes().startswith(b"\x89PNG")
  text = found["svg"].read_text()
  for said in ("By size", "documents", "RR@10", "1k", "10k"):
    assert f">{said}</text>" in text
  for point in plots.points(panel):
    assert text.count(f'id="{point}"') == 1


def test_names_are_no_formulas(panel, tmp_path):
  priced = dataclasses.replace(panel, title="at $1 and $2 \\x")
  text = plots.write(tmp_path, priced)["svg"].read_text()
  assert ">at $1 and $2 \\x</text>" in text


def test_points_say_what_they_are(panel):
  assert plots.points(panel) == {
    "point-0-0": "first: documents 1k, RR@10 0.5",
    "point-0-1": "a: documents 10k, RR@10 0.3",
    "point-1-0": "first: documents 1k, RR@10 0.5",
  }


def test_a_slope_goes_through_the_middle_of_its_points(panel):
  [series, _] = panel.series
  points = [
    series.points[0],
    dataclasses.replace(series.points[1], hollow=False),
    Point(x=1e3, y=9.0, hollow=True),  # no rung of it
  ]
  series = dataclasses.replace(series, points=points)
  panel = dataclasses.replace(panel, series=[series])
  axes = plots.draw(panel).axes[0]
  (line,) = [one for one in axes.lines if len(one.get_xdata()) == 21]
  y = line.get_ydata()
  assert y[0] == pytest.approx(0.5) and y[-1] == pytest.approx(0.3)
  (band,) = axes.collections
  heights = band.get_paths()[0].vertices[:, 1]
  assert heights.min() == pytest.approx(0.25)
  assert heights.max() == pytest.approx(0.55)


def test_quality_begins_at_zero_and_marks_fit(panel):
  axes = plots.draw(panel).axes[0]
  low, high = axes.get_ylim()
  assert low == 0 and high > 0.6
  assert axes.get_xscale() == "log"


def test_hollow_points_have_the_colour_of_paper(panel):
  axes = plots.draw(panel).axes[0]
  faces = {one.get_gid(): one.get_markerfacecolor() for one in axes.lines}
  assert faces["point-0-0"] == plots.COLOURS[0]
  assert faces["point-0-1"] == plots.PAPER
  assert faces["point-1-0"] == plots.GREY


def test_every_kind_says_what_it_lacks(study_results):
  for kind in plots.kinds(study_results()):
    assert kind.title and kind.caption and kind.lack
    assert len({panel.name for panel in kind.panels}) == len(kind.panels)
