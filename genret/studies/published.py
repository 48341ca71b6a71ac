"""What others have published, as data, and which cell of a study it is of.

Files of `genret/data/published/` have a paper each. A table there has columns,
each with what its figures are of, and rows: those of the paper's own grid,
which a study names on its axis `row`, and `systems` that a cell never is.
"""

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

from genret.core.errors import UserError, suggest

ROW = "row"
_PLAIN = {"size": "base", "num_queries": "40"}
"""What a cell is where its study has no such axis; a passage of MS MARCO has 40
synthetic queries in the tables that do not vary their number."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
  """A published figure.

  Attributes:
    source: Of which paper, for people.
    table: In it.
    row: Of the table, or the name of a system.
    about: What the row is.
    of: Axis -> choice, of the cells that it is of.
    measure: As ir-measures names it.
    value: A share, not per cent.
    is_system: Whether the row is another system, which no cell is.
  """

  source: str
  table: str
  row: str
  about: str
  of: Mapping[str, str]
  measure: str
  value: float
  is_system: bool

  def fits(self, chosen: Mapping[str, str]) -> bool:
    """Says whether a cell is what the figure is of.

    Args:
      chosen: Axis -> choice.
    """
    known = {**_PLAIN, **chosen}
    wanted = {**_PLAIN, **self.of, ROW: self.row}
    return not self.is_system and wanted.items() <= known.items()

  def as_json(self) -> dict[str, Any]:
    """Returns what results.json says of it."""
    return {
      "source": self.source,
      "table": self.table,
      "row": self.row,
      "collection": "-".join(
        self.of[axis] for axis in ("collection", "rung") if axis in self.of
      ),
      "docids": self.of.get("docids"),
      "measure": self.measure,
      "value": self.value,
    }


def expected(chosen: Mapping[str, str]) -> list[dict[str, Any]]:
  """Returns the published figures of a cell, as results.json has them.

  >>> [found] = expected(
  ...   {"collection": "nq100k", "docids": "atomic", "row": "3b"})
  >>> found["measure"], found["value"]
  ('R@1', 0.69)
  >>> expected({"collection": "squad", "docids": "atomic", "row": "3b"})
  []

  Args:
    chosen: Axis -> choice. A study that has its cells beside the figures of a
      paper names choices as the files do: `collection`, `rung`, `docids`,
      `row`, and `size` and `num_queries`, which are base and 40 where a study
      has no such axis.
  """
  return [found.as_json() for found in figures() if found.fits(chosen)]


def systems(collection: str, rung: str | None = None) -> list[Figure]:
  """Returns what other systems have reached on a collection.

  Args:
    collection: As the files name it: nq100k, triviaqa, msmarco.
    rung: Of msmarco: 100k, 1M, full.

  Raises:
    UserError: If nothing is published of it here.
  """
  every = [found for found in figures() if found.is_system]
  known = {found.of["collection"] for found in every}
  if collection not in known:
    raise UserError(
      f"No figure of {collection!r} is known here.{suggest(collection, known)}"
    )
  return [
    found
    for found in every
    if found.of["collection"] == collection and found.of.get("rung") == rung
  ]


@functools.cache
def figures() -> tuple[Figure, ...]:
  """Returns all published figures, file by file, row by row."""
  folder = resources.files("genret") / "data" / "published"
  files = sorted(folder.iterdir(), key=lambda file: file.name)
  return tuple(
    figure
    for file in files
    for figure in _of_paper(json.loads(file.read_text("utf-8")))
  )


def _of_paper(paper: Mapping[str, Any]) -> Iterator[Figure]:
  source = f"{paper['source']} (arXiv {paper['arxiv']})"
  scale = 100.0 if paper["per_cent"] else 1.0
  for table in paper["tables"]:
    is_system = "systems" in table
    rows = table["systems" if is_system else "rows"]
    for row, column, about, value in _cells(rows, table["columns"]):
      yield Figure(
        source=source,
        table=table["table"],
        row=row,
        about=about,
        of={axis: name for axis, name in column.items() if axis != "measure"},
        measure=column["measure"],
        value=round(value / scale, 6),
        is_system=is_system,
      )


def _cells(
  rows: Mapping[str, Sequence[Any]], columns: Sequence[Mapping[str, str]]
) -> Iterator[tuple[str, Mapping[str, str], str, float]]:
  """Yields row, column, what the row is, and the figure where there is one."""
  for row, (about, *values) in rows.items():
    for column, value in zip(columns, values, strict=True):
      if value is not None:
        yield row, column, about, value
