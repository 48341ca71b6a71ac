"""The tables of a study: markdown for people, CSV for programs."""

import csv
import io
from collections.abc import Iterator, Sequence

from genret.core import artifacts
from genret.evaluation import comparison
from genret.studies import findings, rows, summary
from genret.studies.cells import Worker
from genret.studies.figures import SHOWN
from genret.studies.findings import Findings
from genret.studies.grid import Cell
from genret.studies.rows import RISING, Row

MARKDOWN = "results.md"
CSV = "results.csv"
NOTES = """\
In brackets the 95 % interval of the mean, over seeds and clusters of queries
(those about one article); of one seed it says nothing of others.
After ± the standard deviation over seeds. Hits@1 is the share of training pairs
whose document comes first, of the seed with least; below {memorised:g} a row is
under-trained and takes no part in comparisons. dev rises: what the last third
of looks at dev added to the best before, over {rising:g} being no
plateau{plateau}. A query is covered if one of its answers has a training query.
> stands where p < {p:g} in a paired randomisation test by cluster, after Holm's
correction over all steps, and the interval is above 0; = where two one-sided
tests show that the difference is below {margin:g}; ≈ where nothing is shown. A
comparison "sees" the difference that it would show 4 times in 5 if it were the
only one. What was asked before the run is a family of tests of its own."""


def write(worker: Worker, cells: Sequence[Cell]) -> str:
  """Makes the files of the cells that have their figures.

  Args:
    worker: Of the study.
    cells: All of its cells.

  Returns:
    The markdown.
  """
  found = findings.of(worker, cells)
  text = markdown(worker, cells, found)
  workdir = worker.layout.workdir
  if found.rows or workdir.exists():
    artifacts.write_text(workdir / MARKDOWN, text + "\n")
    artifacts.write_text(workdir / CSV, as_csv(worker, found.every))
    summary.write(worker, cells, found)
  return text


def markdown(worker: Worker, cells: Sequence[Cell], found: Findings) -> str:
  """Returns tables by the first axis, what they say, and what is missing."""
  study = worker.layout.study
  first = next(iter(study.axes))
  parts = []
  for name in study.axes[first]:
    mine = [r for r in found.every if r.chosen.get(first, name) == name]
    if any(row.results for row in mine):
      parts.append(f"## {name}\n\n{_tables(worker, mine)}")
  if not parts:
    parts.append("No cell has its figures yet.")
  else:
    parts += list(_compared(worker, found))
    notes = NOTES.format(
      memorised=study.memorised,
      rising=RISING,
      plateau=", where a row orders nothing either" * study.plateau,
      p=comparison.SIGNIFICANT,
      margin=comparison.MARGIN,
    )
    own = [f"* {name}: {text}." for name, text in study.notes.items()]
    parts += [notes, *(["\n".join(own)] if own else [])]
  return "\n\n".join([*parts, *_missing(worker, cells)])


def as_csv(worker: Worker, found: Sequence[Row]) -> str:
  """Returns a line of numbers for each row, part and measure."""
  study = worker.layout.study
  file = io.StringIO()
  lines = csv.writer(file, lineterminator="\n")
  numbers = ("steps", "exposures", "parameters", "cpu_minutes")
  lines.writerow(
    [*study.axes, "baseline", "knows", "seeds", *numbers]
    + ["memorised", "under_trained", "dev_rise", "queries", "num_queries"]
    + ["measure", "mean", "low", "high", "spread"]
  )
  for row in found:
    head = [*(row.chosen.get(axis, "") for axis in study.axes), row.name]
    head += [row.knows, len(row.seeds), *map(row.mean, numbers)]
    head += [row.hits, row.under_trained, row.rise(study.measures[0])]
    for part in rows.parts_of([row]):
      for measure in study.measures:
        figure = row.figure(measure, part)
        lines.writerow(
          [*head, part, len(row.parts[part]), measure]
          + [figure.interval.mean, *figure.bounds, figure.spread]
        )
  return file.getvalue()


def _tables(worker: Worker, mine: Sequence[Row]) -> str:
  """Returns a table of all queries, and one of each part of them."""
  study = worker.layout.study
  found = []
  for part in rows.parts_of(mine):
    if part not in SHOWN:
      continue
    how = _training if part == "all" else _names
    head = [*how(worker, None), *study.measures]
    lines = [
      [
        *how(worker, row),
        *(str(row.figure(measure, part) or "") for measure in study.measures),
      ]
      for row in mine
    ]
    counts = sorted({len(row.parts[part]) for row in mine})
    more = f" to {counts[-1]:,}" if len(counts) > 1 else ""
    shown = f"{counts[0]:,}{more}"
    found.append(f"{part} test queries: {shown}\n\n{_table(head, lines)}")
  return "\n\n".join(found)


def _names(worker: Worker, row: Row | None) -> list[str]:
  """Returns the first columns: those of a head, or of a row.

  A baseline stands in the first column of those that it does not depend on.
  """
  others = list(worker.layout.study.axes)[1:]
  if row is None:
    return others
  found = [row.chosen.get(axis, "") for axis in others]
  if row.name:
    free = found.index("") if "" in found else -1
    found[free] = f"{found[free]} {row.name}".strip()
  return found


def _training(worker: Worker, row: Row | None) -> list[str]:
  """Returns the names, and what training was and came to."""
  names = _names(worker, row)
  if row is None:
    return [
      *names,
      "knows beforehand",
      "parameters",
      "CPU-minutes",
      "seeds",
    ] + [
      "exposures",
      "Hits@1",
      "dev rises",
    ]
  if not row.results:
    return names + [""] * 7
  return [
    *names,
    row.knows,
    f"{row.mean('parameters'):,.0f}",
    f"{row.mean('cpu_minutes'):.1f}" + _killed(row),
    str(len(row.seeds)),
    f"{row.mean('exposures'):.0f}",
    f"{row.hits:.3f}" + (", under-trained" if row.under_trained else ""),
    _rise(row, worker.layout.study.measures[0]),
  ]


def _rise(row: Row, measure: str) -> str:
  found = row.rise(measure)
  if found is None:
    return "?"
  return f"{'yes' if row.is_rising(measure) else 'no'}, {found:+.3f}"


def _killed(row: Row) -> str:
  killed = any(result["was_killed"] for result in row.results)
  return ", killed and gone on" if killed else ""


def _compared(worker: Worker, found: Findings) -> Iterator[str]:
  """Yields what was asked before the run, orders, and slopes."""
  study = worker.layout.study
  asked = [f"* {c.pair.name}: {c.verdict}, {c}" for c in found.asked.contrasts]
  asked += [
    f"* {name}: not tested, {why}" for name, why in found.asked.untested
  ]
  ranked = [f"* {one}" for one in found.orders]
  sloped = [f"* {one}" for one in found.growth.slopes]
  sloped += [f"* not fitted, {why}" for why in found.growth.not_fitted]
  for title, lines in (
    (f"Asked before the run, by {study.measures[0]}", asked),
    (f"Orders of {study.compared} by {study.measures[0]}", ranked),
    ("Slopes against the number of documents", sloped),
  ):
    if lines:
      yield "\n".join([f"## {title}", "", *lines])


def _missing(worker: Worker, cells: Sequence[Cell]) -> Iterator[str]:
  """Yields lists of the cells that have no figures."""
  found = summary.missing(worker, cells)
  for title, names in (
    ("Failed", found.failed),
    ("Left out", found.left_out),
    ("Baselines that are missing", found.baselines),
    (
      "Done with other settings; remove their folders to run them",
      dict.fromkeys(found.other_settings),
    ),
  ):
    if names:
      lines = [f"* {n}: {why}" if why else f"* {n}" for n, why in names.items()]
      yield "\n".join([f"## {title}", "", *lines])
  if found.waiting:
    yield f"{len(found.waiting)} cells wait."


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
  """Lays out a table of markdown.

  >>> print(_table(["a", "b"], [["1", "2"]]))
  | a | b |
  | --- | --- |
  | 1 | 2 |
  """
  found = [head, ["---"] * len(head), *lines]
  return "\n".join(f"| {' | '.join(line)} |" for line in found)
