"""The report of a study: a page, a text, tables and plots of its results."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from genret.core import artifacts
from genret.studies import (
  page,
  page_svg,
  plots,
  plots_published,
  plots_rows,
  report_claims,
  report_costs,
  report_csv,
  report_markdown,
  report_reader,
  report_tables,
)
from genret.studies import report_words as wording
from genret.studies.plots_panel import Kind
from genret.studies.report_blocks import (
  Block,
  Gallery,
  Heading,
  Items,
  Paragraph,
  Picture,
  Section,
)
from genret.studies.report_reader import Results

PAGE = "report.html"
MARKDOWN = "report.md"
CSV = "cells.csv"
MACHINE = (("cpu", ""), ("cores", " cores"), ("device", ""), ("system", ""))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
  """What was written.

  Attributes:
    files: Of the report, plots last.
    left_out: Plots that have no data, each with the reason.
  """

  files: Sequence[Path]
  left_out: Sequence[str] = ()


def run(workdir: Path) -> Report:
  """Writes the report of a study into its folder.

  Args:
    workdir: The folder of a study, with its results.json.

  Returns:
    What was written; the same bytes for the same results.

  Raises:
    UserError: The folder has no results, or such as cannot be read.
  """
  results = report_reader.read(workdir)
  kinds = plots.kinds(results)
  drawn = _draw(results, kinds)
  head, parts = list(_head(results)), list(sections(results, kinds))
  title = f"Study: {results.name}"
  written = {
    PAGE: page.page(title, parts, head=head, draw=_inliner(drawn)),
    MARKDOWN: report_markdown.markdown(title, parts, head=head),
    CSV: report_csv.as_csv(results),
  }
  for name, text in written.items():
    artifacts.write_text(results.folder / name, text)
  files = [results.folder / name for name in written]
  files += [path for paths in drawn.values() for path in paths.values()]
  return Report(files=files, left_out=_left_out(kinds))


def sections(results: Results, kinds: Sequence[Kind]) -> Iterator[Section]:
  """Yields all sections of a report, in order.

  Args:
    results: Of the study.
    kinds: Its plots.
  """
  contrasts = kinds[0]
  claims = report_claims.claims(results)
  is_drawn = contrasts.panels and plots.available()
  beside = [_gallery(results, contrasts)] if is_drawn else []
  yield dataclasses.replace(claims, blocks=[*claims.blocks, *beside])
  yield report_claims.no_power(results)
  published = plots_published.table(results)
  tables = [*report_tables.quality(results), published]
  yield _section("Results", "results", _known(tables))
  yield _section("Plots", "plots", list(_plots(results, kinds)))
  yield _section("Training", "training", [report_tables.training(results)])
  found = [*report_costs.costs(results), *report_costs.diagnostics(results)]
  if found:
    yield _section("Costs and search", "costs", found)
  yield _section("Every cell", "cells", [report_tables.cells(results)])
  yield _notes(results)


def _head(results: Results) -> Iterator[Block]:
  """Yields what was run, on what, and for how long."""
  rows = results.settings
  cells = sum(row.num_cells for row in rows)
  baselines = len(results.rows) - len(rows)
  machine = results.mapping_of("machine")
  hours = results.raw.get("cpu_hours")
  parts = [
    f"{wording.several(len(rows), 'setting', 'settings')} in"
    f" {wording.several(cells, 'cell', 'cells')}, beside"
    f" {wording.several(baselines, 'row', 'rows')} of baselines",
    "" if hours is None else f"{hours:,.1f} CPU-hours",
    ", ".join(
      f"{machine[key]}{unit}" for key, unit in MACHINE if machine.get(key)
    ),
    f"results of {results.raw['made']}" if results.raw.get("made") else "",
  ]
  said = "; ".join(part for part in parts if part)
  yield Paragraph(text=[f"{said}."], muted=True)


def _plots(results: Results, kinds: Sequence[Kind]) -> Iterator[Block]:
  """Yields all plots but the first, and the names of those without data."""
  said = f"Hollow points are under-trained. {wording.MARKS}"
  yield Paragraph(text=[said], muted=True)
  for kind in kinds[1:] if plots.available() else ():
    if kind.panels:
      yield _gallery(results, kind)
  if left := _left_out(kinds):
    yield Heading(text="Plots without data", anchor="plots-left-out")
    yield Items(items=[[f"{one}."] for one in left])


def _gallery(results: Results, kind: Kind) -> Gallery:
  return Gallery(
    title=kind.title,
    anchor=plots_rows.file_name("plots", kind.title),
    caption=kind.caption,
    pictures=[
      Picture(
        name=panel.name,
        title=panel.title,
        table=plots_rows.table(results, panel),
        points=plots.points(panel),
      )
      for panel in kind.panels
    ],
  )


def _left_out(kinds: Sequence[Kind]) -> list[str]:
  if not plots.available():
    return [f"All: matplotlib is not installed; {plots.INSTALL} brings it"]
  return [f"{kind.title}: {kind.lack}" for kind in kinds if not kind.panels]


def _draw(
  results: Results, kinds: Sequence[Kind]
) -> dict[str, Mapping[str, Path]]:
  """Draws all plots; returns the files of each."""
  if not plots.available():
    return {}
  folder = results.folder / page.PLOTS
  panels = [panel for kind in kinds for panel in kind.panels]
  bar = tqdm(panels, desc="plots", unit="plot", delay=2)
  return {panel.name: plots.write(folder, panel) for panel in bar}


def _inliner(drawn: Mapping[str, Mapping[str, Path]]) -> page.Draw:
  """Returns what puts plots into a page."""

  def inline(picture: Picture) -> str:
    return page_svg.inline(
      drawn[picture.name]["svg"].read_text("utf-8"),
      name=picture.name,
      title=picture.title,
      points=picture.points,
    )

  return inline


def _notes(results: Results) -> Section:
  """Returns how tables and plots are read."""
  notes = results.mapping_of("notes")
  least = results.raw.get("memorised")
  enough = "" if least is None else f" (under {least:g})"
  lines = [
    "A figure is the mean over seeds; after ± the standard deviation over"
    " seeds, in brackets the 95 % interval of a bootstrap over seeds and"
    " groups of queries.",
    "A difference would have been seen where the chance to see it is 80 %, at a"
    " level of 5 %. A p-value is corrected by Holm over all contrasts of its"
    " kind.",
    "A query is covered, its documents are seen, if one of its answers has a"
    " training query.",
    wording.MARKS.replace("too few", f"too few{enough}"),
    *(f"{name}: {text}" for name, text in notes.items()),
  ]
  items = Items(items=[[line] for line in lines])
  return _section("How to read this", "notes", [items])


def _known(found: Sequence[Block | None]) -> list[Block]:
  return [one for one in found if one is not None]


def _section(title: str, anchor: str, blocks: Sequence[Block]) -> Section:
  return Section(title=title, anchor=anchor, blocks=blocks)
