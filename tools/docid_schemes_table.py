"""The table of the study of docid schemes."""

from collections.abc import Mapping
from typing import Any

MEASURES = ("RR@10", "R@1", "R@10")  # the first with its interval
MEMORISED = 0.95  # below it a row is under-trained
_HEAD = (
  "docids",
  "T",
  "V",
  "told apart",
  "unique",
  "entropy a level, bits",
  "balance a level",
  "cosine by shared symbols",
  "Hits@1 on training pairs",
  *(f"{measure}" for measure in MEASURES),
  *(f"free {measure}" for measure in MEASURES),
  "free docids of 10",
  "CPU-minutes",
)
_LEVELS = 4  # of which figures are shown


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
  """Returns the rows as markdown.

  Args:
    rows: Name to what its row.json holds.
  """
  lines = [_HEAD, ["---"] * len(_HEAD)]
  lines += [cells(name, row) for name, row in rows.items()]
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(name: str, row: Mapping[str, Any]) -> list[str]:
  """Returns the cells of a row."""
  quality = row["quality"]
  levels = quality["levels"]
  bound, free = row["measures"]["constrained"], row["measures"]["free"]
  return [
    name.replace("_", " "),
    str(quality["depth"]["largest"]),
    f"{quality['vocab_size']:,}",
    f"{quality['resolved']:,}",
    f"{quality['uniqueness']:.3f}",
    _several([level["entropy"] for level in levels], 1),
    _several([level["balance"] for level in levels], 2),
    _several(quality["similarity"], 2),
    _memorised(row["memorised"]["Hits@1"]),
    *_measures(bound),
    *_measures(free),
    f"{free['hits']:.1f}",
    f"{sum(row['cpu_seconds'].values()) / 60:.1f}",
  ]


def _memorised(hits: float) -> str:
  """Names what is under-trained.

  >>> _memorised(0.97), _memorised(0.8)
  ('0.970', '0.800 under-trained')
  """
  return f"{hits:.3f}" + (" under-trained" if hits < MEMORISED else "")


def _measures(found: Mapping[str, Any]) -> list[str]:
  first, *others = (f"{found[measure]:.3f}" for measure in MEASURES)
  low, high = found["interval"]
  return [f"{first} [{low:.3f}, {high:.3f}]", *others]


def _several(values: list[float], digits: int) -> str:
  """Joins the first few figures.

  >>> _several([1.0, 0.25, 0.125, 0.0, 0.0], 2)
  '1.00 0.25 0.12 0.00 …'
  """
  shown = [f"{value:.{digits}f}" for value in values[:_LEVELS]]
  return " ".join([*shown, *(["…"] if len(values) > _LEVELS else [])])
