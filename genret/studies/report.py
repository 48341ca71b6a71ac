"""The report of a study: tables, claims and plots, from its results.json."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from genret.core import artifacts
from genret.studies import (
  report_claims,
  report_csv,
  report_markdown,
  report_reader,
  report_tables,
)
from genret.studies import report_words as wording
from genret.studies.report_blocks import Block, Items, Paragraph, Section
from genret.studies.report_reader import Results

MARKDOWN = "report.md"
CSV = "cells.csv"
MACHINE = (("cpu", ""), ("cores", " cores"), ("device", ""), ("system", ""))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
  """What was written.

  Attributes:
    files: Of the report.
    left_out: Plots that have no data, each with the reason.
  """

  files: Sequence[Path]
  left_out: Sequence[str] = ()


def run(folder: Path) -> Report:
  """Writes the report of a study into its folder.

  Args:
    folder: The --workdir of a study, with its results.json.

  Returns:
    What was written; the same bytes for the same results.

  Raises:
    UserError: The folder has no results, or such as cannot be read.
  """
  results = report_reader.read(folder)
  found = list(sections(results))
  title = f"Study: {results.name}"
  written = {
    MARKDOWN: report_markdown.markdown(title, found),
    CSV: report_csv.as_csv(results),
  }
  for name, text in written.items():
    artifacts.write_text(results.folder / name, text)
  return Report(files=[results.folder / name for name in written])


def sections(results: Results) -> Iterator[Section]:
  """Yields all sections of a report, in order."""
  yield _head(results)
  yield report_claims.claims(results)
  yield report_claims.no_power(results)
  yield _section("Results", "results", report_tables.quality(results))
  yield _section("Training", "training", [report_tables.training(results)])
  found = [report_tables.costs(results), report_tables.diagnostics(results)]
  if tables := [table for table in found if table is not None]:
    yield _section("Costs and search", "costs", tables)
  yield _section("Every cell", "cells", [report_tables.cells(results)])
  yield _notes(results)


def _head(results: Results) -> Section:
  """Returns what was run, on what, and for how long."""
  rows = results.settings
  cells = sum(row.num_cells for row in rows)
  machine = results.mapping_of("machine")
  hours = results.raw.get("cpu_hours")
  parts = [
    f"{len(rows)} settings in {cells} cells, beside"
    f" {len(results.rows) - len(rows)} baselines",
    "" if hours is None else f"{hours:,.1f} CPU-hours",
    ", ".join(
      f"{machine[key]}{unit}" for key, unit in MACHINE if machine.get(key)
    ),
    f"results of {results.raw['made']}" if results.raw.get("made") else "",
  ]
  said = "; ".join(part for part in parts if part)
  return _section("What was run", "run", [Paragraph(text=[f"{said}."])])


def _notes(results: Results) -> Section:
  """Returns how tables and plots are read."""
  notes = results.mapping_of("notes")
  least = results.raw.get("memorised")
  enough = "" if least is None else f" (under {least:g})"
  lines = [
    "A figure is the mean over seeds; after ± the standard deviation over"
    " seeds, in brackets the 95 % interval of a bootstrap over seeds and"
    " groups of queries.",
    "A query is covered if one of its answers has a training query.",
    wording.MARKS.replace("too few", f"too few{enough}"),
    *(f"{name}: {text}" for name, text in notes.items()),
  ]
  items = Items(items=[[line] for line in lines])
  return _section("How to read this", "notes", [items])


def _section(title: str, anchor: str, blocks: Sequence[Block]) -> Section:
  return Section(title=title, anchor=anchor, blocks=blocks)
