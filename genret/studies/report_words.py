"""How a report names rows and writes numbers."""

from collections.abc import Iterable, Mapping
from typing import Any

from genret.studies.report_reader import Axes, Figure, Row

UNKNOWN = "–"
NARROW = "\u00a0"  # a space where no line breaks
UNDER_TRAINED = "†"
RISING = "‡"
MARKS = (
  f"{UNDER_TRAINED} under-trained: a seed knows too few of its training pairs"
  f" by heart. {RISING} not at a plateau: dev still rose in the end."
)
_BARE = {"all", "full", "half", "high", "low", "no", "none", "other", "yes"}
_UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def word(axis: str, choice: str) -> str:
  """Names a choice, with its axis where it is a number or says too little.

  >>> word("docids", "atomic"), word("rung", "4k"), word("coverage", "none")
  ('atomic', 'rung 4k', 'coverage none')
  """
  is_bare = choice[:1].isdigit() or choice in _BARE
  return f"{axis} {choice}" if is_bare else choice


def words(chosen: Mapping[str, str], axes: Iterable[str]) -> str:
  """Names the choices on some axes, as far as they are known."""
  return ", ".join(word(a, str(chosen[a])) for a in axes if a in chosen)


def bed(chosen: Mapping[str, str], axes: Axes) -> str:
  """Names what is searched: "" where a study has but one."""
  return words(chosen, (axis for axis in axes.bed if axis in axes.varying))


def setting(row: Row, axes: Axes, *, but: Iterable[str] = ()) -> str:
  """Names a row among those that search the same.

  Args:
    row: Which.
    axes: Of its study.
    but: Axes that its name leaves out.
  """
  own = [a for a in (axes.docids, *axes.others) if a not in set(but)]
  if row.name:
    more = words(row.chosen, (a for a in own if a in axes.varying))
    return f"{row.name} ({more})" if more else row.name
  varying = [axis for axis in own if axis in axes.varying]
  return words(row.chosen, varying or own) or f"row {row.number}"


def whole(row: Row, axes: Axes) -> str:
  """Names a row among all."""
  where = bed(row.chosen, axes)
  return ", ".join(part for part in (where, setting(row, axes)) if part)


def marks(row: Row | None) -> str:
  """Returns the daggers of a row.

  >>> marks(Row(number=1, raw={"under_trained": True, "dev_rise": 0.1}))
  '†‡'
  """
  if row is None:
    return ""
  return UNDER_TRAINED * row.under_trained + RISING * row.is_rising


def share(value: float | None) -> str:
  """Writes a figure between 0 and 1.

  >>> share(0.51249), share(None)
  ('0.512', '–')
  """
  return UNKNOWN if value is None else f"{value:.3f}".replace("-", "−")


def signed(value: float) -> str:
  """Writes a difference.

  >>> signed(0.5), signed(-0.0201)
  ('+0.500', '−0.020')
  """
  return f"{value:+.3f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
  """Writes an interval; "" where there is none.

  >>> interval(-0.25, 0.5).split(), interval(None, None)
  (['[−0.250,', '0.500]'], '')
  """
  if low is None or high is None:
    return ""
  return f"[{share(low)},{NARROW}{share(high)}]"


def spread(figure: Figure) -> str:
  """Writes what surrounds a mean: seeds, then the interval."""
  seeds = "" if figure.spread is None else f"± {figure.spread:.3f}"
  both = (seeds, interval(figure.low, figure.high))
  return " ".join(part for part in both if part)


def chance(p: float | None) -> str:
  """Writes a p-value.

  >>> [chance(p).split() for p in (0.0123, 0.0001, None)]
  [['p', '0.012'], ['p', '<', '0.001'], ['p', 'unknown']]
  """
  if p is None:
    return f"p{NARROW}unknown"
  return f"p{NARROW}<{NARROW}0.001" if p < 0.001 else f"p{NARROW}{p:.3f}"


def count(value: float | None) -> str:
  """Writes a number of things.

  >>> count(12345), count(None)
  ('12,345', '–')
  """
  return UNKNOWN if value is None else f"{value:,.0f}"


def amount(value: float | None) -> str:
  """Writes a number of any size, to three digits.

  >>> amount(31_400_000), amount(950), amount(0.25), amount(0)
  ('31.4M', '950', '0.25', '0')
  """
  if value is None:
    return UNKNOWN
  for size, unit in _UNITS:
    if abs(value) >= 0.9995 * size:
      return f"{_three(value / size)}{unit}"
  return _three(value)


def _three(value: float) -> str:
  """Writes a number below 1,000 to three digits."""
  return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def several(number: int, one: str, more: str) -> str:
  """Counts things.

  >>> several(1, "row is", "rows are"), several(2, "row is", "rows are")
  ('1 row is', '2 rows are')
  """
  return f"{number:,} {one if number == 1 else more}"


def row_anchor(row: Row) -> str:
  """Returns the anchor of a row in the list of all cells."""
  return f"row-{row.number}"


def said(value: Any) -> str:
  """Writes whatever a file holds for people; nothing is a dash."""
  return UNKNOWN if value in (None, "") else str(value)
