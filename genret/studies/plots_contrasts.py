"""Tested differences and their intervals, below each other."""

from genret.studies import report_claims, report_tables
from genret.studies import report_words as wording
from genret.studies.plots_panel import Kind, Look, Panel, Point, Scale, Series
from genret.studies.report_blocks import Cell, Line, Table
from genret.studies.report_claims import Contrast
from genret.studies.report_reader import Results

SEEN = "one beats the other"
EQUIVALENT = "equivalent"
UNSEEN = "no difference seen"


def contrasts(results: Results) -> Kind:
  """Returns a plot of all contrasts, numbered as the claims are."""
  found = report_claims.contrasts(results)
  margin = results.margin
  groups: dict[str, list[Contrast]] = {SEEN: [], EQUIVALENT: [], UNSEEN: []}
  for one in found:
    groups[_group(one)].append(one)
  series = [
    Series(
      name=name,
      look=Look(colour=i, marker=i),
      points=[_point(results, one) for one in mine],
    )
    for i, (name, mine) in enumerate(groups.items())
    if mine
  ]
  panel = Panel(
    name="contrasts",
    title="Tested differences, by the number of the claim",
    x=Scale(label=f"difference in {results.measure}", shown=wording.signed),
    y=Scale(
      label="claim", ticks={float(c.number): str(c.number) for c in found}
    ),
    series=series,
    margin=margin,
    downward=True,
    table=_table(results, found),
  )
  return Kind(
    title="Tested contrasts",
    caption=f"The difference of each claim above and its 95 % interval. Within"
    f" the band, {100 * margin:g} points to either side, differences are too"
    " small to matter. Hollow: a side is under-trained.",
    panels=[panel] if found else [],
    lack="no contrast was tested",
  )


def _group(one: Contrast) -> str:
  if one.was_seen:
    return SEEN
  return EQUIVALENT if one.verdict == report_claims.EQUIVALENT else UNSEEN


def _point(results: Results, one: Contrast) -> Point:
  gap, low, high = one.difference
  return Point(
    x=gap,
    y=float(one.number),
    label=f"claim {one.number}",
    across=(low, high),
    hollow=report_claims.is_doubtful(results, one),
  )


def _table(results: Results, found: list[Contrast]) -> Table:
  lines = []
  for one in found:
    gap, low, high = one.difference
    rows = [results.row_of(side) for side in one.sides]
    names = [wording.whole(r, results.axes) if r else "?" for r in rows]
    marks = [wording.marks(row) for row in rows]
    links = [
      link
      for row in rows
      if row
      for link in report_tables.runs(results, row).links
    ]
    lines.append(
      Line(
        cells=[
          Cell(text=str(one.number)),
          *(
            Cell(text=name, mark=mark)
            for name, mark in zip(names, marks, strict=True)
          ),
          Cell(text=wording.signed(gap), note=wording.interval(low, high)),
          Cell(text=_group(one)),
          Cell(text="", links=links),
        ]
      )
    )
  return Table(
    title="Tested differences",
    head=["claim", "first", "other", "difference", "verdict", "runs"],
    lines=lines,
    words=("claim", "first", "other", "verdict", "runs"),
  )
