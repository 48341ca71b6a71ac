"""Two rows against each other: what was asked before the run, and tests."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from genret.core.errors import ConfigError, UserError, suggest
from genret.evaluation import comparison
from genret.evaluation.comparison import Compared, Paired
from genret.studies import grid
from genret.studies.grid import SEED, Study, parsed
from genret.studies.rows import Row

BASELINE = "baseline"
"""In filters of contrasts, what names a baseline or another system."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
  """Two rows that are compared.

  Attributes:
    name: What is asked, and where.
    asked: What is asked; of several places alike.
    a: The row that it is about.
    b: The row that it is compared with.
  """

  name: str
  asked: str = ""
  a: Row
  b: Row

  @property
  def differs(self) -> str | None:
    """Why the two cannot be compared, or None."""
    if set(self.a.parts["all"]) != set(self.b.parts["all"]):
      return "they answer different queries"
    return None

  def hindrance(self, measure: str, *, plateau: bool) -> str | None:
    """Says why the two are not tested, or None.

    Args:
      measure: By which they would be.
      plateau: Whether dev must not rise any more.
    """
    for row in (self.a, self.b):
      if (why := row.unready(measure, plateau=plateau)) is not None:
        return f"{', '.join(row.chosen.values())}: {why}"
    return self.differs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contrast(Compared):
  """What a comparison of two rows came to.

  Attributes:
    pair: The rows.
    measure: By which.
    named_before: Whether it was asked before the run.
  """

  pair: Pair
  measure: str
  named_before: bool


def of_pairs(
  pairs: Sequence[Pair], *, measure: str, named_before: bool
) -> list[Contrast]:
  """Tests a family of pairs.

  Args:
    pairs: Of rows that answer the same queries.
    measure: By which.
    named_before: Whether they were asked before the run.
  """
  paired = [_paired(pair, measure) for pair in pairs]
  return [
    Contrast(
      pair=pair, measure=measure, named_before=named_before, **vars(found)
    )
    for pair, found in zip(pairs, comparison.family(paired), strict=True)
  ]


def check(study: Study) -> None:
  """Refuses contrasts and systems that no row could be of.

  Raises:
    ConfigError: A filter names no axis or no choice on it, a contrast has not
      two of them, or a system has no run file or one of many collections.
  """
  for name, filters in study.contrasts.items():
    if isinstance(filters, str) or len(filters) != 2:
      raise ConfigError(
        f"contrast {name!r} has two filters, ('inputs=d2q', 'inputs=daq');"
        f" {filters!r} came."
      )
    for text in filters:
      _check(study, f"contrast {name!r}", text)
      if BASELINE not in parsed(text):
        grid.chosen(study.cells(), [text])
  for name, files in study.systems.items():
    for text, path in files.items():
      _check(study, f"system {name!r}", text)
      _check_run(study, name, text=text, path=path)


def named(study: Study, rows: Sequence[Row]) -> Iterator[Pair]:
  """Yields the pairs of rows that the contrasts of a study are about.

  Two rows are a pair where one filter holds for each and all axes that neither
  filter names are equal. A baseline has only the axes that it depends on.

  Args:
    study: Its contrasts were checked.
    rows: Of settings and of baselines.
  """
  for name, filters in study.contrasts.items():
    first, second = map(parsed, filters)
    free = [a for a in study.axes if a not in first and a not in second]
    found = [
      (a, b)
      for a in rows
      if _holds(first, a)
      for b in rows
      if _holds(second, b) and a is not b and _agree(free, a, b)
    ]
    varying = [
      axis
      for axis in study.axes
      if len({(a.chosen.get(axis), b.chosen.get(axis)) for a, b in found}) > 1
    ]
    for a, b in found:
      chosen = {**b.chosen, **a.chosen}
      where = ", ".join(chosen[axis] for axis in varying if axis in chosen)
      several = f" ({where})" if where else ""
      yield Pair(name=name + several, asked=name, a=a, b=b)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
  """What came of the contrasts that were named before the run.

  Attributes:
    contrasts: One family.
    untested: Of each other its name, and why it was not tested.
  """

  contrasts: Sequence[Contrast]
  untested: Sequence[tuple[str, str]]


def asked(study: Study, rows: Sequence[Row]) -> Asked:
  """Tests the contrasts of a study, as far as there are rows for them."""
  measure, pairs = study.measures[0], list(named(study, rows))
  why = [pair.hindrance(measure, plateau=study.plateau) for pair in pairs]
  able = [pair for pair, text in zip(pairs, why, strict=True) if text is None]
  untested: list[tuple[str, str]] = [
    (pair.name, text)
    for pair, text in zip(pairs, why, strict=True)
    if text is not None
  ]
  asked_of = {pair.asked for pair in pairs}
  untested += [
    (name, "no two rows have their figures")
    for name in study.contrasts
    if name not in asked_of
  ]
  return Asked(
    contrasts=of_pairs(able, measure=measure, named_before=True),
    untested=untested,
  )


def _paired(pair: Pair, measure: str) -> Paired:
  if (why := pair.differs) is not None:
    raise UserError(f"{pair.name}: {why}")
  queries = pair.a.parts["all"]
  return Paired(
    ours=pair.a.of(measure, queries),
    theirs=pair.b.of(measure, queries),
    clusters=pair.a.clusters_of(queries),
  )


def _check(study: Study, where: str, text: str) -> None:
  for axis, choice in parsed(text).items():
    if axis == BASELINE:
      continue
    if axis not in study.axes:
      known = [*study.axes, BASELINE]
      raise ConfigError(
        f"{where} names {axis!r} in {text!r}; expected AXIS=CHOICE of"
        f" {', '.join(known)}{' (not seeds)' * (axis == SEED)}."
        f"{suggest(axis, known)}"
      )
    if choice not in study.axes[axis]:
      raise ConfigError(
        f"{where} names {axis}={choice}; choices are"
        f" {', '.join(study.axes[axis])}.{suggest(choice, study.axes[axis])}"
      )


def _check_run(study: Study, name: str, *, text: str, path: str) -> None:
  """Refuses a run of nobody knows which collection, and one that is none."""
  named = parsed(text)
  if BASELINE in named:
    raise ConfigError(
      f"system {name!r} has a run of {text!r}; expected what was searched,"
      f" AXIS=CHOICE of {', '.join(study.axes)}."
    )
  grid.chosen(study.cells(), [text])
  for axis in study.matters("resplit"):
    if axis not in named and len(study.axes[axis]) > 1:
      raise ConfigError(
        f"system {name!r} has a run of {text!r}, which leaves open what was"
        f" searched: expected {axis}=CHOICE as well."
      )
  if not Path(path).is_file():
    raise ConfigError(f"system {name!r}: there is no run file {path}.")


def _holds(wanted: Mapping[str, str], row: Row) -> bool:
  """Says whether a filter is about a row; of a baseline it names the name."""
  if row.name != wanted.get(BASELINE, ""):
    return False
  return all(
    row.chosen.get(axis, name if row.name else None) == name
    for axis, name in wanted.items()
    if axis != BASELINE
  )


def _agree(axes: Sequence[str], a: Row, b: Row) -> bool:
  return all(
    a.chosen[axis] == b.chosen[axis]
    for axis in axes
    if axis in a.chosen and axis in b.chosen
  )
