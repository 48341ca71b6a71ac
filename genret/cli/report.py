"""`genret report`: a page, tables and plots of a study's results."""

from typing import Any

from genret.cli.command import Flag, StageCommand


def said(report: Any, given: dict[str, Any]) -> str:
  """Says what was written, and what was not for want of data."""
  plots = [path for path in report.files if path.parent.name == "plots"]
  others = [path for path in report.files if path not in plots]
  lines = [f"wrote {path}" for path in others]
  if plots:
    lines.append(f"wrote {len(plots)} files in {plots[0].parent}")
  return "\n".join([*lines, *(f"no plot: {why}" for why in report.left_out)])


COMMAND = StageCommand(
  name="report",
  stage="genret.studies.report",
  description="""\
Makes the report of a study from its results.json, which genret study writes:
report.html (one file, opens offline), report.md, cells.csv with a line for each
cell, and plots as PNG and SVG. Every number leads to its run file. A plot that
has no data is left out and named. The same results make the same bytes.""",
  example="""\
  genret report study
  genret report --workdir=study""",
  flags=(Flag(name="workdir", help="that of a study"),),
  report=said,
  positional="workdir",
)
