"""Orders of the choices on an axis, all else equal, and whether they hold."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from genret.evaluation.significance import (
  Interval,
  bootstrap_interval,
  holm,
  sign_flip_test,
)
from genret.studies.rows import Row

SIGNIFICANT = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
  """Two choices that follow one another.

  Attributes:
    better: The first.
    worse: The other.
    difference: Of their means, with its interval.
    p: Of a paired randomisation test, after Holm's correction over all steps
      of a table.
  """

  better: str
  worse: str
  difference: Interval
  p: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
  """The choices on an axis where all other choices are equal.

  Attributes:
    chosen: The other axes.
    steps: From the best to the worst.
    left: Choices that take no part: they are under-trained.
    rising: Others that take none: dev still rises.
  """

  chosen: Mapping[str, str]
  steps: Sequence[Step]
  left: Sequence[str]
  rising: Sequence[str] = ()

  def __str__(self) -> str:
    where = ", ".join(self.chosen.values())
    if self.steps:
      said = self.steps[0].better
      for step in self.steps:
        sign = ">" if step.p < SIGNIFICANT else "≈"
        gap = step.difference
        said += (
          f" {sign} {step.worse} ({gap.mean:+.3f} [{gap.low:+.3f},"
          f" {gap.high:+.3f}], p {step.p:.3f})"
        )
    else:
      said = "no two choices to put in an order"
    for why, names in (
      ("under-trained", self.left),
      ("not at a plateau", self.rising),
    ):
      if names:
        said += f"; {why}: {', '.join(names)}"
    return f"{where}: {said}"


def orders(
  rows: Sequence[Row], *, axis: str, measure: str, plateau: bool = True
) -> list[Order]:
  """Puts the choices on an axis in an order by their means.

  Queries are paired, each with its mean over seeds. Rows whose pairs are not
  known by heart take no part, nor do those whose dev still rises.

  Args:
    rows: Of settings.
    axis: Whose choices are compared.
    measure: By which.
    plateau: Whether rows whose dev still rises are left out.
  """
  rising = [row for row in rows if plateau and row.is_rising(measure)]
  out = {id(row) for row in rising}
  groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
  for row in rows:
    others = tuple((a, n) for a, n in row.chosen.items() if a != axis)
    groups.setdefault(others, []).append(row)
  ranked = {
    others: sorted(
      (row for row in group if not (row.under_trained or id(row) in out)),
      key=lambda row: -row.values(measure, "all").mean(),
    )
    for others, group in groups.items()
  }
  pairs = [p for found in ranked.values() for p in itertools.pairwise(found)]
  differences = [_difference(*pair, measure=measure) for pair in pairs]
  corrected = iter(holm([sign_flip_test(d) for d in differences]))
  steps = iter(differences)
  return [
    Order(
      chosen=dict(others),
      steps=[
        Step(
          better=better.chosen[axis],
          worse=worse.chosen[axis],
          difference=bootstrap_interval(next(steps)),
          p=next(corrected),
        )
        for better, worse in itertools.pairwise(ranked[others])
      ],
      left=[row.chosen[axis] for row in group if row.under_trained],
      rising=[
        row.chosen[axis]
        for row in group
        if id(row) in out and not row.under_trained
      ],
    )
    for others, group in groups.items()
  ]


def _difference(better: Row, worse: Row, *, measure: str) -> np.ndarray:
  ours = better.values(measure, "all").mean(0)
  return ours - worse.values(measure, "all").mean(0)
