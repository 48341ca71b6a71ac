"""What dev showed while rows were trained."""

import statistics
from collections.abc import Sequence

from genret.studies import plots_rows as rows_of
from genret.studies import report_tables
from genret.studies import report_words as wording
from genret.studies.plots_panel import Kind, Panel, Point, Scale
from genret.studies.report_blocks import Cell, Line, Table
from genret.studies.report_reader import Results, Row

Curve = list[tuple[float, float]]


def training_curves(results: Results) -> Kind:
  """Returns dev by training steps."""
  found = []
  for where, rows in rows_of.parted(results, results.axes.bed):
    curves = [(row, _curves(row, results.measure)) for row in rows]
    known = [(row, seeds) for row, seeds in curves if seeds]
    if known:
      found.append(_panel(results, where, known))
  return Kind(
    title="Training curves",
    caption="Thin lines are seeds, thick ones their mean.",
    panels=found,
    lack="no row looked at dev more than once",
  )


def _panel(
  results: Results, where: str, known: Sequence[tuple[Row, list[Curve]]]
) -> Panel:
  measure = f"dev {results.measure}"
  title = rows_of.titled(f"{measure} in training", where)
  return Panel(
    name=rows_of.file_name("training curves", where),
    title=title,
    x=Scale(label="training steps", from_zero=True),
    y=Scale(label=measure, from_zero=True, shown=wording.share),
    series=[
      rows_of.line(
        results,
        row,
        [Point(x=x, y=y, row=row) for x, y in _mean(seeds)],
        faint=seeds,
      )
      for row, seeds in known
    ],
    table=Table(
      title=title,
      head=["row", "looks", "first", "best", "last", "runs"],
      lines=[_line(results, row, _mean(seeds)) for row, seeds in known],
    ),
  )


def _line(results: Results, row: Row, curve: Curve) -> Line:
  values = [y for _, y in curve]
  return Line(
    cells=[
      Cell(text=wording.whole(row, results.axes), mark=wording.marks(row)),
      Cell(text=str(len(values))),
      *(
        Cell(text=wording.share(y))
        for y in (values[0], max(values), values[-1])
      ),
      report_tables.runs(results, row),
    ]
  )


def _curves(row: Row, measure: str) -> list[Curve]:
  """Returns what each seed showed, of seeds that looked more than once."""
  wanted = {"step", measure}
  found = [
    [(look["step"], look[measure]) for look in seed if wanted <= set(look)]
    for seed in row.raw.get("dev") or ()
  ]
  return [curve for curve in found if len(curve) > 1]


def _mean(seeds: Sequence[Curve]) -> Curve:
  """Returns the mean of seeds, where all of them looked.

  >>> _mean([[(1, 0.0), (2, 0.5)], [(1, 1.0), (3, 0.5)]])
  [(1, 0.5)]
  """
  curves = [dict(seed) for seed in seeds]
  shared = [x for x in curves[0] if all(x in curve for curve in curves)]
  return [(x, statistics.mean(curve[x] for curve in curves)) for x in shared]
