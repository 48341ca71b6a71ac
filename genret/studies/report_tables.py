"""The tables of a report, each number with the run file it comes from."""

from collections.abc import Callable, Iterator, Sequence

from genret.studies import report_words as wording
from genret.studies.report_blocks import Cell, Line, Link, Table
from genret.studies.report_reader import Figure, Results, Row

PARTS = ("all", "covered", "uncovered")
Column = tuple[str, Callable[[Row], Cell]]


def beds(results: Results) -> Iterator[tuple[str, list[Row]]]:
  """Yields the rows that search the same documents, and what these are.

  A baseline stands wherever the choices that it depends on hold.
  """
  groups: dict[tuple[str | None, ...], list[Row]] = {}
  axes = results.axes
  for row in results.settings or results.rows:
    key = tuple(row.chosen.get(axis) for axis in axes.bed)
    groups.setdefault(key, []).append(row)
  for key, rows in groups.items():
    chosen = dict(zip(axes.bed, key, strict=True))
    beside = [
      row
      for row in results.rows
      if row.name
      and row not in rows
      and all(chosen[a] == row.chosen.get(a, chosen[a]) for a in chosen)
    ]
    names = {a: c for a, c in chosen.items() if c is not None}
    title = wording.bed(names, axes) or wording.words(names, axes.bed)
    yield title or results.name, [*beside, *rows]


def quality(results: Results) -> list[Table]:
  """Returns a table of figures for each collection, baselines first."""
  found = []
  for title, rows in beds(results):
    parts = _parts(rows)
    columns: list[Column] = [
      ("row", lambda row: Cell(text=wording.setting(row, results.axes))),
      *_measured(results, [("all", m) for m in results.measures]),
      *_measured(results, [(part, results.measure) for part in parts[1:]]),
      ("runs", lambda row: runs(results, row)),
      ("knows beforehand", _knows),
    ]
    counts = ", ".join(f"{_queries(rows, part)} {part}" for part in parts)
    sizes = {row.number_of("documents") for row in rows} - {None}
    size = f"{wording.count(max(sizes))} documents, " if sizes else ""
    caption = f"{title}: {size}test queries: {counts}"
    found.append(table(caption, columns, rows))
  return found


def training(results: Results) -> Table:
  """Returns what training was, and whether it was enough."""
  return table(
    "Training: what each row knows beforehand, was given, and has learned",
    [
      named(results),
      number("documents", wording.count, "documents"),
      number("parameters", wording.amount, "parameters"),
      number("steps", wording.count, "steps"),
      number("exposures a document", wording.amount, "exposures"),
      number("CPU-minutes", wording.amount, "cpu_minutes"),
      ("Hits@1 of training pairs", _memorised),
      ("dev rises", _rises),
      ("knows beforehand", _knows),
    ],
    results.settings,
  )


def cells(results: Results) -> Table:
  """Returns a line for each cell, with a link from each figure to its run."""
  parts = _parts(results.rows)
  shown = [("all", m) for m in results.measures]
  shown += [(part, results.measure) for part in parts[1:] if results.measure]
  return Table(
    title="Every cell and its run file",
    head=["row", "seed", *(_head(part, m) for part, m in shown), "runs"],
    lines=[
      _cell(results, row, i, shown=shown)
      for row in results.rows
      for i in range(row.num_cells)
    ],
  )


def _cell(
  results: Results, row: Row, i: int, *, shown: Sequence[tuple[str, str]]
) -> Line:
  """Returns the line of the i-th cell of a row."""
  run = row.runs[i : i + 1]
  href = results.run_file(*run) if run else ""
  seed = wording.said(row.seed_of(i))
  figures = [
    Cell(text=wording.share(row.of_seed(i, measure, part)), href=href)
    for part, measure in shown
  ]
  name = Cell(text=wording.whole(row, results.axes), mark=wording.marks(row))
  links = Cell(text="", links=_links(results, run, ["run"] * len(run)))
  return Line(
    cells=[name, Cell(text=seed), *figures, links],
    anchor="" if i else wording.row_anchor(row),
  )


def runs(results: Results, row: Row) -> Cell:
  """Returns links to the run files of a row, a seed each."""
  seeds = [row.seed_of(i) for i in range(len(row.runs))]
  names = ["run" if seed is None else str(seed) for seed in seeds]
  return Cell(text="", links=_links(results, row.runs, names))


def figure(results: Results, row: Row, found: Figure | None) -> Cell:
  """Returns a mean over seeds, which leads to its run or its cells."""
  if found is None:
    return Cell(text=wording.UNKNOWN)
  return Cell(
    text=wording.share(found.mean),
    note=wording.spread(found),
    href=_target(results, row),
    mark=wording.marks(row),
  )


def _target(results: Results, row: Row) -> str:
  """Returns where a figure of a row leads: to its run, or to its cells."""
  own = results.run_file(row.runs[0]) if len(row.runs) == 1 else ""
  return own or f"#{wording.row_anchor(row)}"


def table(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Table:
  """Returns a line for each row.

  Args:
    title: Of the table.
    columns: Their names, and what makes a cell from a row.
    rows: Of a study.
  """
  return Table(
    title=title,
    head=[name for name, _ in columns],
    lines=[Line(cells=[cell(row) for _, cell in columns]) for row in rows],
  )


def named(results: Results) -> Column:
  """Returns the column of names, which lead to the cells of their rows."""

  def cell(row: Row) -> Cell:
    return Cell(
      text=wording.whole(row, results.axes),
      href=f"#{wording.row_anchor(row)}",
      mark=wording.marks(row),
    )

  return "row", cell


def _measured(
  results: Results, shown: Sequence[tuple[str, str]]
) -> list[Column]:
  return [
    (
      _head(part, measure),
      lambda row, m=measure, p=part: figure(results, row, row.figure(m, p)),
    )
    for part, measure in shown
  ]


def _head(part: str, measure: str) -> str:
  return measure if part == "all" else f"{part} {measure}"


def number(
  name: str, shown: Callable[[float | None], str], *keys: str
) -> Column:
  """Returns the column of a number.

  Args:
    name: Of the column.
    shown: Writes it.
    *keys: Of the number, as for `Row.number_of`.
  """
  return name, _reader(shown, *keys)


def _reader(
  shown: Callable[[float | None], str], *keys: str
) -> Callable[[Row], Cell]:
  return lambda row: Cell(text=shown(row.number_of(*keys)))


def _memorised(row: Row) -> Cell:
  known = wording.share(row.number_of("memorised"))
  return Cell(text=known, note="under-trained" if row.under_trained else "")


def _rises(row: Row) -> Cell:
  rise = row.number_of("dev_rise")
  if rise is None:
    return Cell(text="?")
  said = "yes" if row.is_rising else "no"
  return Cell(text=said, note=wording.signed(rise))


def _knows(row: Row) -> Cell:
  """Says what a row has learned from other data."""
  known = row.raw.get("knows")
  if known == "nothing":
    return Cell(text="nothing: from scratch")
  return Cell(text=wording.said(known))


def _parts(rows: Sequence[Row]) -> list[str]:
  """Lists those of PARTS that have figures; all queries always do."""
  known = {part for row in rows for part in row.parts}
  return ["all", *(part for part in PARTS[1:] if part in known)]


def _queries(rows: Sequence[Row], part: str) -> str:
  found = [(row.parts.get(part) or {}).get("num_queries") for row in rows]
  return wording.count(max((n for n in found if n), default=None))


def _links(
  results: Results, paths: Sequence[str], names: Sequence[str]
) -> list[Link]:
  """Returns links to those run files that are there."""
  return [
    Link(text=name, href=file)
    for path, name in zip(paths, names, strict=True)
    if (file := results.run_file(path))
  ]
