"""What a study found, in sentences, and what it could not find."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from genret.studies import report_words as wording
from genret.studies.report_blocks import (
  Cell,
  Inline,
  Items,
  Line,
  Link,
  Paragraph,
  Section,
  Table,
  Text,
  joined,
)
from genret.studies.report_reader import Results, Row

EQUIVALENT = "equivalent"
BETTER = "a > b"
WORSE = "a < b"
HINTS = "Not named before anything ran, so only hints"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contrast:
  """A tested difference, turned so that it is of the better.

  Attributes:
    number: In the list of claims, from 1 on.
    raw: What the file says of it.
    sides: Choices of a and b.
  """

  number: int
  raw: Mapping[str, Any]
  sides: tuple[Mapping[str, str], Mapping[str, str]]

  @property
  def verdict(self) -> str:
    """One of the words of the file."""
    return self.raw.get("verdict") or ""

  @property
  def equivalence_p(self) -> float | None:
    """Of the two one-sided tests, corrected where the file has that."""
    for key in ("equivalence_p_corrected", "equivalence_p"):
      if self.raw.get(key) is not None:
        return self.raw[key]
    return None

  @property
  def was_seen(self) -> bool:
    """Whether one beats the other."""
    return self.verdict in (BETTER, WORSE)

  @property
  def difference(self) -> tuple[float, float | None, float | None]:
    """What the first side has over the other, and its interval."""
    gap, low, high = (
      self.raw.get(key) for key in ("difference", "low", "high")
    )
    gap = gap or 0.0
    if self.verdict != WORSE:
      return gap, low, high
    return -gap, *(None if v is None else -v for v in (high, low))


def contrasts(results: Results) -> list[Contrast]:
  """Lists the tested contrasts: first those that were named before."""
  found = results.list_of("contrasts")
  leads = list(dict.fromkeys(map(_lead, found)))
  ranked = sorted(
    found, key=lambda one: (_lead(one) == HINTS, leads.index(_lead(one)))
  )
  return [_contrast(number, one) for number, one in enumerate(ranked, 1)]


def _lead(raw: Mapping[str, Any]) -> str:
  """Returns what stands above a contrast: its name, if it had one before.

  A name that is asked in several places has these behind it, in parentheses.

  >>> chosen = {"docids": "atomic", "rung": "1k"}
  >>> _lead({"named_before": True, "name": "a (or b) (1k)", "a": chosen})
  'a (or b)'
  """
  if not raw.get("named_before"):
    return HINTS
  name = raw.get("name") or "Contrasts"
  known = {*(raw.get("a") or {}).values(), *(raw.get("b") or {}).values()}
  stem, opened, where = name.removesuffix(")").rpartition(" (")
  if opened and name.endswith(")") and known.issuperset(where.split(", ")):
    return stem
  return name


def _contrast(number: int, raw: Mapping[str, Any]) -> Contrast:
  a, b = (raw.get("a") or {}, raw.get("b") or {})
  sides = (b, a) if raw.get("verdict") == WORSE else (a, b)
  return Contrast(number=number, raw=raw, sides=sides)


def claims(results: Results) -> Section:
  """Returns the section that says what was found."""
  found = contrasts(results)
  blocks: list[Any] = []
  if any(one.raw.get("named_before") for one in found):
    said = "Contrasts have names that were given before anything ran."
    blocks.append(Paragraph(text=[said], muted=True))
  for lead, group in itertools.groupby(found, lambda one: _lead(one.raw)):
    mine = list(group)
    items = [sentence(results, one) for one in mine]
    blocks += [
      Paragraph(text=[f"{lead}:"]),
      Items(items=items, ordered=True, first=mine[0].number),
    ]
  if results.list_of("slopes"):
    blocks.append(slopes(results))
  blocks += [
    Paragraph(text=[f"No slope: {why}"], muted=True)
    for why in results.list_of("not_fitted")
  ]
  if not blocks:
    blocks = [Paragraph(text=["No contrast was tested."])]
  return Section(title="What was found", anchor="found", blocks=blocks)


def sentence(results: Results, contrast: Contrast) -> Text:
  """Words a contrast.

  Args:
    results: Of the study; names of rows lead to their cells.
    contrast: One of `contrasts`.
  """
  first, other = (_side(results, contrast, i) for i in (0, 1))
  gap, low, high = contrast.difference
  measure = contrast.raw.get("measure") or results.measure
  around = wording.interval(low, high)
  size = f"{wording.share(gap)} {around}".strip()
  where = _where(results, contrast)
  p = wording.chance(contrast.raw.get("p_corrected"))
  if contrast.was_seen:
    said = [first, " beats ", other, f" by {size} {measure} ({p})."]
  elif contrast.verdict == EQUIVALENT:
    margin = 100 * results.margin
    p = wording.chance(contrast.equivalence_p)
    said = [
      *(first, " and ", other),
      f" are equivalent within {margin:g} points: the first has",
      f" {wording.signed(gap)} {around} {measure} ({p}).",
    ]
  else:
    said = [
      *("no difference between ", first, " and ", other, " was seen:"),
      f" the first has {wording.signed(gap)} {around} {measure} ({p}).",
      *_power(contrast),
    ]
  return [*where, *said, *_doubts(results, contrast)]


def slopes(results: Results) -> Table:
  """Returns how quality changes with the size of the corpus."""
  varying = [a for a in results.axis_names if a in results.axes.varying]
  lines = []
  for raw in results.list_of("slopes"):
    of = raw.get("of") or {}
    name = wording.words(of, varying) or wording.words(of, results.axis_names)
    name = ", ".join(part for part in (name, of.get("name")) if part)
    slope = raw.get("slope_per_decade") or 0.0
    lines.append(
      Line(
        cells=[
          Cell(text=name),
          Cell(text=wording.said(raw.get("measure"))),
          Cell(
            text=wording.signed(slope),
            note=wording.interval(raw.get("low"), raw.get("high")),
          ),
          Cell(text=wording.said(raw.get("rungs"))),
        ]
      )
    )
  return Table(
    title="Slopes: what ten times the documents change",
    head=["row", "measure", "slope", "rungs"],
    lines=lines,
    words=("row", "measure"),
  )


def no_power(results: Results) -> Section:
  """Returns the section that says what could not be seen."""
  unseen = [c for c in contrasts(results) if not c.was_seen]
  unseen = [c for c in unseen if c.verdict != EQUIVALENT]
  items: list[Text] = [
    [
      f"differences under {wording.share(one.raw['detectable'])}",
      f" {one.raw.get('measure', '')} between ",
      *joined([_side(results, one, 0), _side(results, one, 1)], " and "),
      f" (claim {one.number}).",
    ]
    for one in unseen
    if one.raw.get("detectable") is not None
  ]
  for why, rows in (
    ("under-trained: ", [r for r in results.settings if r.under_trained]),
    ("not at a plateau: ", [r for r in results.settings if r.is_rising]),
  ):
    if rows:
      names = joined([_named(results, row) for row in rows], "; ")
      said = wording.several(len(rows), "row that is", "rows that are")
      items.append([f"{said} {why}", *names, "."])
  for name, why in results.list_of("untested"):
    items.append([f"{name}, not tested: {why}."])
  items += [[line] for line in _missing(results)]
  blocks = (
    [
      Paragraph(text=["Of this the study says nothing:"]),
      Items(items=items),
    ]
    if items
    else [Paragraph(text=["Nothing is missing."])]
  )
  title = "What it had no power to see"
  return Section(title=title, anchor="no-power", blocks=blocks)


def _missing(results: Results) -> Iterator[str]:
  """Yields lines on cells without figures."""
  missing = results.mapping_of("missing")
  for key, what in (("failed", "failed"), ("left_out", "was left out")):
    for name, why in missing.get(key) or ():
      yield f"cell {name}, which {what}: {why}"
  for name, why in missing.get("baselines") or ():
    yield f"{name}: {why}"
  for key, what in (
    ("other_settings", "made with other settings"),
    ("waiting", "not run"),
  ):
    if names := missing.get(key):
      said = wording.several(len(names), "cell", "cells")
      yield f"{said} {what}: {', '.join(names)}."


def _where(results: Results, contrast: Contrast) -> list[Inline]:
  """Returns where a contrast holds."""
  where = wording.words(contrast.sides[0], _common(results, contrast))
  return [f"{where}: "] if where else []


def _common(results: Results, contrast: Contrast) -> list[str]:
  a, b = contrast.sides
  return [
    axis
    for axis in results.axis_names
    if a.get(axis) == b.get(axis) and axis in results.axes.varying
  ]


def _side(results: Results, contrast: Contrast, i: int) -> Inline:
  """Names one side by what sets it apart from the other."""
  mine, other = contrast.sides[i], contrast.sides[1 - i]
  differ = [a for a in results.axis_names if mine.get(a) != other.get(a)]
  name = mine.get("name", "")
  text = name or wording.words(mine, differ) or f"side {i + 1}"
  row = results.row_of(mine)
  if row is None:
    return text
  text += wording.marks(row)
  return Link(text=text, href=f"#{wording.row_anchor(row)}")


def _named(results: Results, row: Row) -> Link:
  return Link(
    text=wording.whole(row, results.axes),
    href=f"#{wording.row_anchor(row)}",
  )


def _power(contrast: Contrast) -> list[str]:
  seen = contrast.raw.get("detectable")
  if seen is None:
    return []
  return [f" A difference of {wording.share(seen)} would have been seen."]


def _doubts(results: Results, contrast: Contrast) -> list[str]:
  """Returns a warning where a side is under-trained, or of one seed."""
  found = []
  if is_doubtful(results, contrast):
    found.append(
      " A side is under-trained, so this says nothing of the method."
    )
  rows = [results.row_of(side) for side in contrast.sides]
  if any(row is not None and len(row.seeds) == 1 for row in rows):
    found.append(" Of one seed.")
  return found


def is_doubtful(results: Results, contrast: Contrast) -> bool:
  """Says whether a side is under-trained."""
  rows = [results.row_of(side) for side in contrast.sides]
  return any(row is not None and row.under_trained for row in rows)
