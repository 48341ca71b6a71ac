"""Ours against the published figure, where the collection is the same."""

from collections.abc import Iterator, Mapping
from typing import Any

from genret.studies import plots_rows as rows_of
from genret.studies import report_tables
from genret.studies import report_words as wording
from genret.studies.plots_panel import Kind, Panel, Point, Scale
from genret.studies.report_blocks import Cell, Line, Table
from genret.studies.report_reader import Results, Row

Found = tuple[Row, Mapping[str, Any]]


def ours_and_published(results: Results) -> Kind:
  """Returns our figures against published ones, a plot for each measure."""
  found = list(_published(results))
  measures = dict.fromkeys(one["measure"] for _, one in found)
  return Kind(
    title="Ours against published figures",
    caption="A point is a row and a published figure of the same collection"
    " and docids. On the diagonal both are the same. Bars are our 95 %"
    " intervals.",
    panels=[
      _panel(results, m, [(r, one) for r, one in found if one["measure"] == m])
      for m in measures
    ],
    lack="no row has a published figure of the same collection",
  )


def table(results: Results) -> Table | None:
  """Returns published figures beside ours; None where there are none."""
  found = list(_published(results))
  if not found:
    return None
  lines = []
  for row, one in found:
    ours = row.figure(one["measure"])
    source = [one.get("source"), _numbered("table", one), _numbered("row", one)]
    lines.append(
      Line(
        cells=[
          Cell(text=wording.whole(row, results.axes), mark=wording.marks(row)),
          Cell(text=", ".join(part for part in source if part)),
          Cell(text=one["measure"]),
          report_tables.figure(results, row, ours),
          Cell(text=wording.share(_share(one["value"]))),
          Cell(text=wording.signed(ours.mean - _share(one["value"]))),
        ]
      )
    )
  return Table(
    title="Ours beside published figures of the same collection",
    head=["row", "source", "measure", "ours", "published", "ours − published"],
    lines=lines,
    words=("row", "source", "measure"),
  )


def _panel(results: Results, measure: str, found: list[Found]) -> Panel:
  figures = iter(found)  # a row may have several

  def point(row: Row) -> Point | None:
    value = _share(next(figures)[1]["value"])
    return rows_of.of_row(results, row, x=value, y=row.figure(measure))

  series = rows_of.grouped(results, [row for row, _ in found], point)
  across, upward = (
    Scale(label=f"{measure}, {whose}", from_zero=True, shown=wording.share)
    for whose in ("published", "ours")
  )
  return Panel(
    name=rows_of.file_name("ours and published", measure),
    title=f"{measure}: ours against published",
    x=across,
    y=upward,
    series=series,
    diagonal=True,
  )


def _published(results: Results) -> Iterator[Found]:
  """Yields published figures of rows that have ours of the same measure."""
  for row in results.settings:
    for one in row.raw.get("published") or ():
      measure, value = one.get("measure"), one.get("value")
      if value is not None and row.figure(measure) is not None:
        yield row, one


def _share(value: float) -> float:
  """Returns a figure as a share; papers print per cent.

  >>> _share(79.2), _share(0.792)
  (0.792, 0.792)
  """
  return value / 100 if value > 1 else value


def _numbered(what: str, one: Mapping[str, Any]) -> str:
  return f"{what} {one[what]}" if one.get(what) else ""
