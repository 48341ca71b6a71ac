"""A line of numbers for each cell of a study: for programs."""

import csv
import io
from typing import Any

from genret.studies.report_reader import Results, Row

_PLACE = ("baseline", "knows", "seed", "cell", "run")
_NUMBERS = (
  ("documents",),
  ("parameters",),
  ("flops", "query"),
  ("flops", "training"),
  ("synthetic_queries",),
  ("steps",),
  ("exposures",),
  ("cpu_minutes",),
  ("memorised",),
  ("dev_rise",),
)
_STATES = ("under_trained", "was_killed")


def as_csv(results: Results) -> str:
  """Returns a line for each cell; a baseline is one.

  Figures have a column for each part of the test queries and each measure, and
  are of the cell's own seed. Other numbers are of the row that the cell is in.
  """
  axes = results.axis_names
  parts = dict.fromkeys(part for row in results.rows for part in row.parts)
  figures = [(part, m) for part in parts for m in results.measures]
  names = [m if part == "all" else f"{part} {m}" for part, m in figures]
  file = io.StringIO()
  lines = csv.writer(file, lineterminator="\n")
  numbers = [" ".join(keys) for keys in _NUMBERS]
  lines.writerow([*axes, *_PLACE, *numbers, *_STATES, *names])
  for row in results.rows:
    for i in range(row.num_cells):
      lines.writerow(
        [
          *(row.chosen.get(axis, "") for axis in axes),
          *_place(row, i),
          *(row.number_of(*keys) for keys in _NUMBERS),
          *(row.raw.get(state) for state in _STATES),
          *(row.of_seed(i, measure, part) for part, measure in figures),
        ]
      )
  return file.getvalue()


def _place(row: Row, i: int) -> list[Any]:
  """Returns the figures of _PLACE for a cell of a row."""
  cells = row.raw.get("cells") or ()
  own = [one[i] if i < len(one) else "" for one in (cells, row.runs)]
  return [row.name, row.raw.get("knows"), row.seed_of(i), *own]
