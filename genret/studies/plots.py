"""Draws plots with matplotlib, as PNG and SVG."""

import io
from pathlib import Path
from typing import Any

from genret.core import atomic
from genret.querygen.plots import COLOURS, DASHES, FORMATS, INSTALL, available
from genret.studies import (
  plots_contrasts,
  plots_parts,
  plots_published,
  plots_search,
  plots_sizes,
  plots_training,
)
from genret.studies import report_words as wording
from genret.studies.plots_panel import Kind, Look, Panel, Point, Scale, Series
from genret.studies.report_reader import Results

__all__ = ["COLOURS", "INSTALL", "available", "draw", "kinds", "write"]

MARKERS = "osD^vPX*ph<>"
INK = "#1b1b1a"
FAINT = "#d8d8d4"
GREY = "#6f6f6a"
PAPER = "#ffffff"
NEUTRAL = (INK, FAINT, GREY, PAPER)
SIZE = (4.3, 3.0)  # inches, without the legend
LEGEND_LINE = 0.19  # inches
ROOM = 1.06  # of the largest value: where a scale ends
LONG = 22  # letters of a name, from which a legend has one column
POINT = "point-{}-{}"  # of a series and a point: the ids of points in an SVG
_STYLE = {
  "font.size": 9,
  "axes.titlesize": 9.5,
  "axes.titleweight": "bold",
  "axes.titlelocation": "left",
  "axes.edgecolor": GREY,
  "axes.labelcolor": INK,
  "axes.spines.top": False,
  "axes.spines.right": False,
  "axes.grid": True,
  "axes.axisbelow": True,
  "grid.color": FAINT,
  "grid.linewidth": 0.6,
  "text.color": INK,
  "xtick.color": INK,
  "ytick.color": INK,
  "svg.fonttype": "none",
  "text.parse_math": False,
}


def kinds(results: Results) -> list[Kind]:
  """Returns all plots of a study, in the order of its report."""
  return [
    plots_contrasts.contrasts(results),
    plots_sizes.by_documents(results),
    *plots_sizes.by_cost(results),
    plots_sizes.by_queries(results),
    plots_parts.seen_and_unseen(results),
    plots_parts.by_training_queries(results),
    plots_search.beam_and_exhaustive(results),
    plots_search.prefix_recall(results),
    plots_training.training_curves(results),
    plots_published.ours_and_published(results),
  ]


def write(folder: Path, panel: Panel) -> dict[str, Path]:
  """Draws a plot into files.

  Args:
    folder: Where they go; it is made.
    panel: What is drawn.

  Returns:
    Format -> its file; the same bytes for the same plot.
  """
  import matplotlib

  folder.mkdir(parents=True, exist_ok=True)
  found = {}
  with matplotlib.rc_context({**_STYLE, "svg.hashsalt": panel.name}):
    figure = draw(panel)
    for ending in FORMATS:
      found[ending] = folder / f"{panel.name}.{ending}"
      none = {"Software": None} if ending == "png" else {"Date": None}
      file = io.BytesIO()
      figure.savefig(file, format=ending, dpi=200, metadata=none)
      with atomic.replacing(found[ending]) as draft:
        draft.write_bytes(file.getvalue())
  return found


def draw(panel: Panel) -> Any:
  """Returns the figure of a plot."""
  from matplotlib.figure import Figure

  names = [one.name for one in panel.series]
  columns = 1 if max(map(len, names), default=0) > LONG else 2
  lines = -(-len(names) // columns) if len(names) > 1 else 0
  width, height = SIZE
  height = max(height, 0.9 + 0.22 * _categories(panel))
  figure = Figure(
    figsize=(width, height + LEGEND_LINE * lines), layout="constrained"
  )
  axes = figure.subplots()
  for number, series in enumerate(panel.series):
    _series(axes, series, number=number)
  _frame(axes, panel)
  if lines:
    figure.legend(
      handles=[_handle(series) for series in panel.series],
      loc="outside lower left",
      ncols=columns,
      frameon=False,
      fontsize=8,
      handlelength=2.6,
    )
  return figure


def _categories(panel: Panel) -> int:
  """Returns how many lines a plot of lines below each other has."""
  return len(panel.y.ticks or ()) if panel.downward else 0


def _series(axes: Any, series: Series, *, number: int) -> None:
  colour, dash = _colour(series.look), _dash(series.look)
  for line in series.faint:
    axes.plot(*zip(*line, strict=True), color=colour, linewidth=0.6, alpha=0.4)
  if series.fit is not None:
    _fit(axes, series, colour=colour)
  if series.joined:
    axes.plot(
      [point.x for point in series.points],
      [point.y for point in series.points],
      color=colour,
      linestyle=dash,
      linewidth=1.4,
    )
  for i, point in enumerate(series.points):
    _point(axes, point, series.look, gid=POINT.format(number, i))


def _point(axes: Any, point: Point, look: Look, *, gid: str) -> None:
  colour = _colour(look)
  for (low, high), horizontal in ((point.across, True), (point.along, False)):
    if low is None or high is None:
      continue
    xs = [low, high] if horizontal else [point.x, point.x]
    ys = [point.y, point.y] if horizontal else [low, high]
    axes.plot(xs, ys, color=colour, linewidth=1, alpha=0.7)
  axes.plot([point.x], [point.y], gid=gid, **_marker(look, point.hollow))


def _fit(axes: Any, series: Series, *, colour: str) -> None:
  """Draws a slope through the middle of its points, and its interval.

  Hollow points are no rungs of it.
  """
  import numpy as np

  fitted = [point for point in series.points if not point.hollow]
  x = np.log10([point.x for point in fitted])
  y = np.mean([point.y for point in fitted])
  ends = np.linspace(x.min(), x.max(), 21)
  along = 10**ends
  centre = x.mean()
  slopes = (series.fit.low, series.fit.high)
  edges = [y + slope * (ends - centre) for slope in slopes]
  axes.fill_between(
    along, np.minimum(*edges), np.maximum(*edges), color=colour, alpha=0.15,
    linewidth=0,
  )  # fmt: skip
  axes.plot(
    along, y + series.fit.slope * (ends - centre), color=colour, linewidth=0.8
  )


def _frame(axes: Any, panel: Panel) -> None:
  axes.set_title(panel.title)
  _scale(axes, "x", panel.x)
  _scale(axes, "y", panel.y)
  if panel.diagonal:
    low = min(axes.get_xlim()[0], axes.get_ylim()[0])
    high = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.axline((low, low), (high, high), color=GREY, linewidth=0.8)
    axes.set(xlim=(low, high), ylim=(low, high))
  if panel.margin is not None:
    axes.axvspan(-panel.margin, panel.margin, color=FAINT, alpha=0.6)
    axes.axvline(0, color=GREY, linewidth=0.8)
  if panel.downward:
    axes.invert_yaxis()
    axes.margins(y=0.5 / max(1, _categories(panel)))


def _scale(axes: Any, name: str, scale: Scale) -> None:
  from matplotlib import ticker

  axis = getattr(axes, f"{name}axis")
  if scale.log:
    getattr(axes, f"set_{name}scale")("log")
    axis.set_minor_formatter(ticker.NullFormatter())
  if scale.from_zero:
    high = ROOM * max(0.0, getattr(axes.dataLim, f"{name}max"))
    getattr(axes, f"set_{name}lim")(0, high or 1)
  if scale.ticks is not None:
    axis.set_major_locator(ticker.FixedLocator(list(scale.ticks)))
    axis.set_minor_locator(ticker.NullLocator())
    axis.set_major_formatter(ticker.FixedFormatter(list(scale.ticks.values())))
  elif scale.shown is wording.amount:
    axis.set_major_formatter(lambda value, _: wording.amount(value))
  axis.set_label_text(scale.label)


def _handle(series: Series) -> Any:
  from matplotlib.lines import Line2D

  hollow = all(point.hollow for point in series.points)
  style = _marker(series.look, hollow)
  if series.joined:
    style |= {"linestyle": _dash(series.look), "color": _colour(series.look)}
  return Line2D([], [], label=_legend(series), **style)


def _legend(series: Series) -> str:
  """Names a series, with a dagger where some of its rows are under-trained."""
  some = any(point.hollow and point.row for point in series.points)
  dagger = wording.UNDER_TRAINED
  return series.name + dagger * (some and dagger not in series.name)


def _marker(look: Look, hollow: bool) -> dict[str, Any]:
  colour = _colour(look)
  return {
    "marker": MARKERS[look.marker % len(MARKERS)],
    "markersize": 5.5,
    "markeredgecolor": colour,
    "markerfacecolor": PAPER if hollow else colour,
    "markeredgewidth": 1.2,
    "linestyle": "none",
    "zorder": 3,
  }


def _colour(look: Look) -> str:
  return GREY if look.colour is None else COLOURS[look.colour]


def _dash(look: Look) -> Any:
  return DASHES[look.dash % len(DASHES)]


def points(panel: Panel) -> dict[str, str]:
  """Returns the id of each point in the SVG, and what it shows."""
  return {
    POINT.format(number, i): f"{point.label or series.name}:"
    f" {panel.x.label} {panel.x.shown(point.x)},"
    f" {panel.y.label} {panel.y.shown(point.y)}"
    for number, series in enumerate(panel.series)
    for i, point in enumerate(series.points)
  }
