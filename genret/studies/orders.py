"""Orders of the choices on an axis, all else equal, and whether they hold."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from genret.studies import contrasts
from genret.studies.contrasts import Contrast, Pair
from genret.studies.rows import Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
  """Two choices that follow one another.

  Attributes:
    better: The first.
    worse: The other.
    contrast: Of their rows, in the family of all steps of a study.
  """

  better: str
  worse: str
  contrast: Contrast


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
  """The choices on an axis where all other choices are equal.

  Attributes:
    chosen: The other axes.
    steps: From the best to the worst.
    left: Choices that take no part: they are under-trained.
    rising: Others that take none: dev still rises.
    apart: Whether choices answer different queries, and have no order.
  """

  chosen: Mapping[str, str]
  steps: Sequence[Step]
  left: Sequence[str]
  rising: Sequence[str] = ()
  apart: bool = False

  def __str__(self) -> str:
    where = ", ".join(self.chosen.values())
    if self.steps:
      said = self.steps[0].better
      for step in self.steps:
        said += f" {step.contrast.sign} {step.worse} ({step.contrast})"
    elif self.apart:
      said = "no order, as choices answer different queries"
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

  Neighbours are tested; all steps of all orders are one family. Rows whose
  pairs are not known by heart take no part, nor do those whose dev still rises.

  Args:
    rows: Of settings.
    axis: Whose choices are compared.
    measure: By which.
    plateau: Whether rows whose dev still rises are left out.
  """
  groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
  for row in rows:
    others = tuple((a, n) for a, n in row.chosen.items() if a != axis)
    groups.setdefault(others, []).append(row)
  ranked = {
    others: sorted(
      (row for row in group if row.unready(measure, plateau=plateau) is None),
      key=lambda row: -row.values(measure, "all").mean(),
    )
    for others, group in groups.items()
  }
  pairs = {others: _pairs(found, axis=axis) for others, found in ranked.items()}
  apart = {
    others for others, found in pairs.items() if any(p.differs for p in found)
  }
  tested = iter(
    contrasts.of_pairs(
      [
        p
        for others, found in pairs.items()
        if others not in apart
        for p in found
      ],
      measure=measure,
      named_before=False,
    )
  )
  return [
    Order(
      chosen=dict(others),
      steps=[
        Step(
          better=pair.a.chosen[axis],
          worse=pair.b.chosen[axis],
          contrast=next(tested),
        )
        for pair in pairs[others]
        if others not in apart
      ],
      left=[row.chosen[axis] for row in group if row.under_trained],
      rising=[
        row.chosen[axis]
        for row in group
        if row.unready(measure, plateau=plateau) and not row.under_trained
      ],
      apart=others in apart,
    )
    for others, group in groups.items()
  ]


def _pairs(ranked: Sequence[Row], *, axis: str) -> list[Pair]:
  """Pairs neighbours."""
  return [
    Pair(name=f"{a.chosen[axis]} and {b.chosen[axis]}", a=a, b=b)
    for a, b in itertools.pairwise(ranked)
  ]
