"""results.json of a study, as what the report is made from.

Only this module knows the keys of that file. Any of them may be absent: what
is not known is None or empty, and the report says so or leaves it out.
"""

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genret.core.errors import DataError, UserError

FILE = "results.json"
FORMAT = 1
RISING = 0.005  # where the file does not say
MARGIN = 0.02  # likewise
_KINDS = {
  **dict.fromkeys(("axes", "notes", "missing", "machine"), dict),
  **dict.fromkeys(("rows", "contrasts", "slopes", "not_fitted"), list),
  "measures": list,
}
BED_AXES = ("collection", "corpus", "rung", "coverage", "fold")
"""Axes that say what is searched, where the file names none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
  """A mean over seeds, in shares of one.

  Attributes:
    mean: Over seeds and queries.
    low: Lower end of its 95 % interval, or None.
    high: Upper end, or None.
    spread: Standard deviation over seeds, or None.
    per_seed: The mean of each seed.
    queries: How many.
  """

  mean: float
  low: float | None = None
  high: float | None = None
  spread: float | None = None
  per_seed: tuple[float, ...] = ()
  queries: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
  """A setting with its seeds, or a baseline.

  Attributes:
    number: Its place in the file, from 1 on.
    raw: What the file says of it.
    rising: Of dev in the end, above which there is no plateau.
  """

  number: int
  raw: Mapping[str, Any]
  rising: float = RISING

  @property
  def chosen(self) -> Mapping[str, str]:
    """Axis -> choice; of a baseline the choices it depends on."""
    return self.raw.get("chosen") or {}

  @property
  def name(self) -> str:
    """Of a baseline; "" of a setting."""
    return self.raw.get("name") or ""

  @property
  def seeds(self) -> tuple[int, ...]:
    """Its seeds; none of a baseline."""
    return tuple(self.raw.get("seeds") or ())

  @property
  def runs(self) -> tuple[str, ...]:
    """Its run files, below the folder of the study."""
    return tuple(self.raw.get("runs") or ())

  @property
  def under_trained(self) -> bool:
    """Whether a seed has not learned its training pairs."""
    return bool(self.raw.get("under_trained"))

  @property
  def is_rising(self) -> bool:
    """Whether dev still rose in the end."""
    return (self.number_of("dev_rise") or 0.0) > self.rising

  @property
  def parts(self) -> Mapping[str, Mapping[str, Any]]:
    """Part of the test queries -> its figures."""
    return self.raw.get("figures") or {}

  def figure(self, measure: str, part: str = "all") -> Figure | None:
    """Returns a figure of a part; None where there is none."""
    found = (self.parts.get(part) or {}).get(measure)
    if not found or found.get("mean") is None:
      return None
    return Figure(
      mean=found["mean"],
      low=found.get("low"),
      high=found.get("high"),
      spread=found.get("spread"),
      per_seed=tuple(found.get("per_seed") or ()),
      queries=self.parts[part].get("num_queries") or 0,
    )

  def mapping_of(self, key: str) -> Mapping[str, Any]:
    """Returns a mapping of the file; empty where it has none."""
    return self.raw.get(key) or {}

  @property
  def num_cells(self) -> int:
    """How many cells it stands for; a baseline is one."""
    return max(len(self.runs), len(self.seeds), 1)

  def seed_of(self, i: int) -> int | None:
    """Returns the seed of its i-th cell: one after the other, folds within."""
    folds = self.num_cells // max(len(self.seeds), 1)
    found = self.seeds[i // folds : i // folds + 1]
    return found[0] if found else None

  def of_seed(self, i: int, measure: str, part: str = "all") -> float | None:
    """Returns a figure of its i-th cell; None where it is not known.

    Nor is it where rows are pooled over folds: only their queries together
    have figures.
    """
    found = self.figure(measure, part)
    if found is None or self.num_cells > max(len(self.seeds), 1):
      return None
    if not found.per_seed:
      return found.mean if self.num_cells == 1 else None
    return found.per_seed[i] if i < len(found.per_seed) else None

  def number_of(self, *keys: str) -> float | None:
    """Returns a number below nested keys; None where there is none.

    >>> row = Row(number=1, raw={"flops": {"query": 3}, "knows": "x"})
    >>> row.number_of("flops", "query"), row.number_of("flops", "training")
    (3, None)
    >>> row.number_of("knows") is None
    True
    """
    found: Any = self.raw
    for key in keys:
      found = found.get(key) if isinstance(found, Mapping) else None
    known = isinstance(found, int | float) and not isinstance(found, bool)
    return found if known else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
  """All of a study's results.

  Attributes:
    folder: Of the study; run files lie below it.
    raw: The file.
  """

  folder: Path
  raw: Mapping[str, Any]

  @property
  def name(self) -> str:
    """Of the study, or of its folder."""
    return self.raw.get("name") or self.folder.resolve().name

  @property
  def measures(self) -> tuple[str, ...]:
    """What was measured; the first decides."""
    return tuple(self.raw.get("measures") or ())

  @property
  def measure(self) -> str:
    """The measure that decides; "" where none is named."""
    return self.measures[0] if self.measures else ""

  @property
  def margin(self) -> float:
    """Differences within it are too small to matter."""
    return self.raw.get("margin") or MARGIN

  @functools.cached_property
  def rows(self) -> tuple[Row, ...]:
    """Settings and baselines, in the order of the file."""
    rising = self.raw.get("rising") or RISING
    return tuple(
      Row(number=number, raw=one, rising=rising)
      for number, one in enumerate(self.raw.get("rows") or (), 1)
    )

  @property
  def axis_names(self) -> tuple[str, ...]:
    """Its axes, in the order of the study."""
    known = self.raw.get("axes") or {}
    order = self.raw.get("axis_order") or known
    return tuple(axis for axis in order if axis in known)

  @property
  def settings(self) -> list[Row]:
    """The rows that are no baselines."""
    return [row for row in self.rows if not row.name]

  def list_of(self, key: str) -> Sequence[Any]:
    """Returns a list of the file; empty where it has none."""
    return self.raw.get(key) or ()

  def mapping_of(self, key: str) -> Mapping[str, Any]:
    """Returns a mapping of the file; empty where it has none."""
    return self.raw.get(key) or {}

  def run_file(self, path: str) -> str:
    """Returns where a run file lies below the folder, "" where it does not.

    Beside a report that has been moved it may be compressed.
    """
    for one in (path, f"{path}.gz"):
      if path and (self.folder / one).is_file():
        return one
    return ""

  def row_of(self, chosen: Mapping[str, str]) -> Row | None:
    """Returns the row of a choice on each axis, or of a named baseline."""
    wanted = {k: v for k, v in chosen.items() if k != "name"}
    for row in self.rows:
      same = row.name == chosen.get("name", "")
      if same and dict(row.chosen) == wanted:
        return row
    return None

  @functools.cached_property
  def axes(self) -> "Axes":
    """What its axes are for."""
    return Axes.of(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Axes:
  """What the axes of a study are for.

  Attributes:
    bed: Those that say what is searched: rows are compared within.
    ladder: The one of them along which the corpus grows, or None.
    docids: The one whose choices have colours.
    others: All others.
    varying: Those with more than one choice among the rows: in names, others
      would say nothing.
    names: All of them, in the order of the study.
  """

  names: tuple[str, ...]
  bed: tuple[str, ...]
  ladder: str | None
  docids: str | None
  others: tuple[str, ...]
  varying: frozenset[str]

  @classmethod
  def of(cls, results: Results) -> "Axes":
    """Sorts the axes of a study."""
    axes = results.axis_names
    ladder = results.raw.get("ladder_axis") or _ladder(results, axes)
    said = results.raw.get("collection_axes") or BED_AXES
    bed = tuple(axis for axis in axes if axis in (*said, ladder))
    rest = [axis for axis in axes if axis not in bed]
    docids = "docids" if "docids" in rest else results.raw.get("compared")
    docids = docids if docids in rest else next(iter(rest), None)
    found = {
      axis: {row.chosen.get(axis) for row in results.settings} for axis in axes
    }
    return cls(
      names=axes,
      bed=bed,
      ladder=ladder,
      docids=docids,
      others=tuple(axis for axis in rest if axis != docids),
      varying=frozenset(a for a, choices in found.items() if len(choices) > 1),
    )


def read(folder: Path) -> Results:
  """Reads the results of a study.

  Args:
    folder: Of the study.

  Raises:
    UserError: The folder has no results.
    DataError: They cannot be read.
  """
  path = Path(folder) / FILE
  if not path.is_file():
    raise UserError(
      f"{folder} has no {FILE}, which `genret study` writes in the end, and"
      " with --report at any time. Expected the --workdir of a study."
    )
  try:
    raw = json.loads(path.read_text("utf-8"))
  except ValueError as error:
    raise DataError(f"no JSON: {error}. Make it anew.", path=path) from error
  if not isinstance(raw, dict):
    raise DataError(f"a {type(raw).__name__}, not an object", path=path)
  if raw.get("format") != FORMAT:
    raise DataError(
      f"has format {raw.get('format')!r}; this genret reads {FORMAT}. Make it"
      " anew with `genret study --report`.",
      path=path,
    )
  for key, kind in _KINDS.items():
    found = raw.get(key)
    if found is not None and not isinstance(found, kind):
      raise DataError(
        f"{key} is a {type(found).__name__}; expected a {kind.__name__}",
        path=path,
      )
  for key in ("rows", "contrasts", "slopes"):
    for number, one in enumerate(raw.get(key) or (), 1):
      if not isinstance(one, dict):
        raise DataError(
          f"{key}, the {number}.: {one!r} is no object", path=path
        )
  return Results(folder=Path(folder), raw=raw)


def varying(rows: Sequence[Row], key: Sequence[str]) -> Iterator[str]:
  """Yields axes along which a number differs, all else equal.

  Args:
    rows: Of settings.
    key: Of the number, as for `Row.number_of`.
  """
  for axis in dict.fromkeys(axis for row in rows for axis in row.chosen):
    groups: dict[tuple[tuple[str, str], ...], set[float]] = {}
    for row in rows:
      value = row.number_of(*key)
      if value is not None and axis in row.chosen:
        rest = tuple((a, c) for a, c in row.chosen.items() if a != axis)
        groups.setdefault(rest, set()).add(value)
    if any(len(values) > 1 for values in groups.values()):
      yield axis


def _ladder(results: Results, axes: Sequence[str]) -> str | None:
  """Finds the axis along which the corpus grows.

  A slope names all other axes. Where there is none, documents must differ
  along the axis; other collections are no larger ones.
  """
  for slope in results.list_of("slopes"):
    left = [axis for axis in axes if axis not in (slope.get("of") or {})]
    if len(left) == 1:
      return left[0]
  grown = varying(results.settings, ["documents"])
  return next((axis for axis in grown if axis != "collection"), None)
