"""Quality by what was seen in training: documents, and their queries."""

from genret.studies import plots_rows as rows_of
from genret.studies import report_words as wording
from genret.studies.plots_panel import Kind, Panel, Point, Scale
from genret.studies.report_reader import Results, Row

PART = "training queries: "
COUNTS = ("0", "1", "2-3", "4-7", "8+")


def seen_and_unseen(results: Results) -> Kind:
  """Returns quality on uncovered against covered queries."""

  def point(row: Row) -> Point | None:
    parts = ("covered", "uncovered")
    figures = [row.figure(results.measure, part) for part in parts]
    return rows_of.both(results, row, figures)

  return Kind(
    title="Seen against unseen documents",
    caption="A point is a row: across, queries with an answer that has a"
    " training query; upward, all others. Below the diagonal, documents that"
    " were seen are found more often. Bars are 95 % intervals.",
    panels=rows_of.against(
      results,
      point,
      name="seen and unseen",
      sides=("seen documents", "unseen documents"),
    ),
    lack="no row has figures of both covered and uncovered queries",
  )


def by_training_queries(results: Results) -> Kind:
  """Returns quality by how many training queries an answer has."""
  found = []
  for where, rows in rows_of.parted(results, results.axes.bed):
    series = [(row, _points(results, row)) for row in rows]
    known = [(row, points) for row, points in series if len(points) > 1]
    if known:
      found.append(
        Panel(
          name=rows_of.file_name("quality by training queries", where),
          title=rows_of.titled(f"{results.measure} by training queries", where),
          x=Scale(
            label="training queries of the answer",
            ticks={float(x): count for x, count in enumerate(COUNTS)},
            shown=lambda x: COUNTS[round(x)],
          ),
          y=Scale(label=results.measure, from_zero=True, shown=wording.share),
          series=rows_of.lines(results, known),
        )
      )
  return Kind(
    title="Quality by training queries of the answer",
    caption="Bars are 95 % intervals.",
    panels=found,
    lack="no row has figures by the number of training queries",
  )


def _points(results: Results, row: Row) -> list[Point]:
  """Returns a point for each number of training queries that is known."""
  found = [
    rows_of.of_row(
      results, row, x=float(x), y=row.figure(results.measure, PART + count)
    )
    for x, count in enumerate(COUNTS)
  ]
  return [point for point in found if point is not None]
