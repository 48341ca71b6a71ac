"""From the rows of a study to series of points that plots show."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Sequence

from genret.studies import report_tables
from genret.studies import report_words as wording
from genret.studies.plots_panel import (
  NUM_COLOURS,
  Look,
  Panel,
  Point,
  Scale,
  Series,
)
from genret.studies.report_blocks import Cell, Line, Table
from genret.studies.report_reader import Figure, Results, Row

MANY = 8  # series of settings in a plot; more are parted
Facet = tuple[str, list[Row]]


class Looks:
  """Gives each setting of a study one look in all plots.

  Colours are of docids; dashes of all else; markers of both.
  """

  def __init__(self, results: Results):
    self.axes = results.axes
    keys = [self._key(row) for row in results.settings]
    self._colours = _numbered(docids for docids, _ in keys)
    self._dashes = _numbered(others for _, others in keys)
    self._markers = _numbered(keys)
    names = (wording.setting(r, self.axes) for r in results.rows if r.name)
    self._baselines = _numbered(names)

  def of(self, row: Row) -> Look:
    """Returns the look of a row."""
    if row.name:
      number = self._baselines[wording.setting(row, self.axes)]
      marker = len(self._markers) + number
      return Look(colour=None, marker=marker, dash=number + 1)
    key = self._key(row)
    return Look(
      colour=self._colours[key[0]] % NUM_COLOURS,
      marker=self._markers[key],
      dash=self._dashes[key[1]],
    )

  def _key(self, row: Row) -> tuple[str, tuple[str, ...]]:
    docids = str(row.chosen.get(self.axes.docids or "", ""))
    return docids, tuple(str(row.chosen.get(a)) for a in self.axes.others)


def grouped(
  results: Results,
  rows: Iterable[Row],
  point: Callable[[Row], Point | None],
  *,
  joined: bool = False,
  but: Sequence[str] = (),
) -> list[Series]:
  """Returns the points of rows, a series for each setting.

  Args:
    results: Of the study.
    rows: Of it.
    point: Of a row; None for none.
    joined: Whether lines go through series of more than one.
    but: Axes that do not make another series: points move along them.
  """
  looks = Looks(results)
  found: dict[str, tuple[Look, list[Point]]] = {}
  for row in rows:
    if (one := point(row)) is not None:
      name = wording.setting(row, results.axes, but=but)
      found.setdefault(name, (looks.of(row), []))[1].append(one)
  return [
    Series(
      name=name,
      look=look,
      points=sorted(points, key=lambda p: p.x),
      joined=joined and len(points) > 1,
    )
    for name, (look, points) in found.items()
  ]


def of_row(
  results: Results, row: Row, *, x: float | None, y: Figure | None
) -> Point | None:
  """Returns the point of a row; None where a coordinate is not known."""
  if x is None or y is None:
    return None
  return Point(
    x=x,
    y=y.mean,
    row=row,
    label=wording.whole(row, results.axes),
    along=(y.low, y.high),
    hollow=row.under_trained,
  )


def lines(
  results: Results, found: Iterable[tuple[Row, Sequence[Point]]]
) -> list[Series]:
  """Returns a line for each row."""
  return [line(results, row, points) for row, points in found]


def line(
  results: Results,
  row: Row,
  points: Sequence[Point],
  *,
  faint: Sequence[Sequence[tuple[float, float]]] = (),
) -> Series:
  """Returns the line of a row.

  Args:
    results: Of the study.
    row: Of it.
    points: On the line.
    faint: Lines of its seeds.
  """
  return Series(
    name=wording.setting(row, results.axes) + wording.marks(row),
    look=Looks(results).of(row),
    points=points,
    joined=True,
    faint=faint,
  )


def against(
  results: Results,
  point: Callable[[Row], Point | None],
  *,
  name: str,
  sides: tuple[str, str],
) -> list[Panel]:
  """Returns one plot of two figures of each row; none without rows.

  Args:
    results: Of the study.
    point: Of a row, by `both`.
    name: Of its files.
    sides: What is across, and what is upward.
  """
  series = grouped(results, results.rows, point)
  across, upward = (
    Scale(
      label=f"{results.measure}, {side}", from_zero=True, shown=wording.share
    )
    for side in sides
  )
  panel = Panel(
    name=file_name(name),
    title=f"{results.measure}: {name}",
    x=across,
    y=upward,
    series=series,
    diagonal=True,
  )
  return [panel] if series else []


def both(
  results: Results, row: Row, figures: Sequence[Figure | None]
) -> Point | None:
  """Returns the point of two figures of a row, if both are known."""
  x, y = figures
  if x is None or y is None:
    return None
  found = of_row(results, row, x=x.mean, y=y)
  return dataclasses.replace(found, across=(x.low, x.high))


def parted(
  results: Results, along: Sequence[str], *, but: Sequence[str] = ()
) -> list[Facet]:
  """Parts rows by some axes, and by all but docids where these are many.

  Args:
    results: Of the study.
    along: The axes that part them in any case.
    but: Those that part them in no case.
  """
  found = facets(results, along)
  most = max((len(_names(results, rows, but)) for _, rows in found), default=0)
  if most <= MANY:
    return found
  others = [axis for axis in results.axes.others if axis not in but]
  return facets(results, [*along, *others])


def _names(
  results: Results, rows: Iterable[Row], but: Sequence[str]
) -> set[str]:
  return {
    wording.setting(row, results.axes, but=but) for row in rows if not row.name
  }


def facets(results: Results, axes: Sequence[str]) -> list[Facet]:
  """Parts rows by their choices on some axes; baselines stand in several.

  Returns:
    What the rows of a part have in common ("" where there is one part), and
    the rows.
  """
  varying = [axis for axis in axes if axis in results.axes.varying]
  keys = dict.fromkeys(
    tuple(row.chosen.get(axis) for axis in varying) for row in results.settings
  )
  found = []
  for key in keys:
    chosen = {a: c for a, c in zip(varying, key, strict=True) if c is not None}
    rows = [row for row in results.rows if _agrees(row, chosen)]
    found.append((wording.words(chosen, varying), rows))
  return found


def titled(what: str, where: str) -> str:
  """Returns a title: what is shown, and of which part of the rows."""
  return f"{what}: {where}" if where else what


def file_name(*parts: str) -> str:
  """Joins what a plot shows into the name of its files.

  >>> file_name("quality by documents", "coverage 50 %, D2Q")
  'quality-by-documents-coverage-50-d2q'
  """
  return "-".join(
    re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")
    for part in parts
    if part
  )


def table(results: Results, panel: Panel) -> Table:
  """Returns the figures of a plot, with their run files."""
  if panel.table is not None:
    return panel.table
  return Table(
    title=panel.title,
    head=["row", panel.x.label, panel.y.label, "runs"],
    lines=[
      _line(results, panel, name=point.label or series.name, point=point)
      for series in panel.series
      for point in series.points
    ],
  )


def _line(results: Results, panel: Panel, *, name: str, point: Point) -> Line:
  across, along = (
    Cell(text=scale.shown(value), note=wording.interval(*span))
    for scale, value, span in (
      (panel.x, point.x, point.across),
      (panel.y, point.y, point.along),
    )
  )
  row = point.row
  runs = report_tables.runs(results, row) if row else Cell(text="")
  named = Cell(text=name, mark=wording.marks(row))
  return Line(cells=[named, across, along, runs])


def _numbered(found: Iterable[object]) -> dict[object, int]:
  counter = itertools.count()
  return {one: next(counter) for one in dict.fromkeys(found)}


def _agrees(row: Row, chosen: dict[str, str]) -> bool:
  if row.name:
    return all(row.chosen.get(a, c) == c for a, c in chosen.items())
  return all(row.chosen.get(a) == c for a, c in chosen.items())
