"""What the search loses: beam against exhaustive, and prefix by prefix."""

from genret.studies import plots_rows as rows_of
from genret.studies import report_words as wording
from genret.studies.plots_panel import Kind, Panel, Point, Scale
from genret.studies.report_reader import Figure, Results, Row

LENGTH = "length"


def beam_and_exhaustive(results: Results) -> Kind:
  """Returns quality of beam search against scoring every document."""

  def point(row: Row) -> Point | None:
    found = [
      row.number_of("diagnostics", search, results.measure)
      for search in ("exhaustive", "beam")
    ]
    figures = [None if one is None else Figure(mean=one) for one in found]
    return rows_of.both(results, row, figures)

  return Kind(
    title="Beam against exhaustive search",
    caption="A point is a row. Below the diagonal the search errs: the beam"
    " loses documents that the model itself puts first. What both axes lack are"
    " errors of the model.",
    panels=rows_of.against(
      results,
      point,
      name="beam and exhaustive",
      sides=("every document scored", "beam search"),
    ),
    lack="no row was searched by scoring every document",
  )


def prefix_recall(results: Results) -> Kind:
  """Returns how often the first symbols of a docid are right."""
  found = []
  for where, rows in rows_of.parted(results, results.axes.bed):
    series = [(row, _prefixes(row)) for row in rows]
    known = [(row, points) for row, points in series if points]
    if any(len(points) > 1 for _, points in known):
      found.append(_panel(results, where, known))
  return Kind(
    title="Recall by docid prefix length",
    caption="The share of answers whose docid is still within reach after so"
    " many symbols. Where a line falls, the search took a wrong turn.",
    panels=found,
    lack="no docids of several symbols were looked at by prefix",
  )


def _panel(
  results: Results, where: str, known: list[tuple[Row, list[Point]]]
) -> Panel:
  measure = _measure(known[0][0])
  lengths = sorted({point.x for _, points in known for point in points})
  return Panel(
    name=rows_of.file_name("prefix recall", where),
    title=rows_of.titled(f"{measure} by docid prefix", where),
    x=Scale(
      label="length of the docid prefix (symbols)",
      ticks={length: f"{length:.0f}" for length in lengths},
    ),
    y=Scale(
      label=f"{measure} of prefixes", from_zero=True, shown=wording.share
    ),
    series=rows_of.lines(results, known),
  )


def _measure(row: Row) -> str:
  """Returns the name of what was measured of prefixes."""
  return next(key for key in _recalls(row)[0] if key != LENGTH)


def _prefixes(row: Row) -> list[Point]:
  return [
    Point(x=float(one[LENGTH]), y=one[_measure(row)], row=row)
    for one in _recalls(row)
  ]


def _recalls(row: Row) -> list[dict[str, float]]:
  return (row.raw.get("diagnostics") or {}).get("prefix_recall") or []
