"""Two systems on the same queries: all that may be said of their difference."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from genret.core.errors import UserError
from genret.evaluation import crossed
from genret.evaluation.significance import Interval, holm, sign_flip_test

# System -> measure -> query id -> value.
PerQuery = Mapping[str, Mapping[str, Mapping[str, float]]]

SIGNIFICANT = 0.05
MARGIN = 0.02
"""Differences below two points count as none, where that is shown."""
POWER = 0.8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paired:
  """Figures of two systems.

  Attributes:
    ours: [S, Q].
    theirs: [T, Q], the same queries.
    clusters: Of each query; None for one of its own.
  """

  ours: np.ndarray
  theirs: np.ndarray
  clusters: Sequence[Hashable] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared:
  """What the tests of a difference came to.

  Attributes:
    difference: Of the means, over seeds and clusters of queries.
    p_value: Of the two-sided paired randomisation test by cluster, which is
      about these models.
    p_corrected: The same after Holm's correction over the family.
    equivalence_p: Of two one-sided tests at MARGIN.
    equivalence_corrected: The same after Holm's correction.
    detectable: The least true difference that is seen 4 times in 5 by one
      test, before any correction; None where all queries are about one
      article, of which nothing follows.
  """

  difference: Interval
  p_value: float
  p_corrected: float
  equivalence_p: float
  equivalence_corrected: float
  detectable: float | None

  @property
  def bounds(self) -> tuple[float, float] | tuple[None, None]:
    """The interval's ends; None where nothing follows."""
    if self.detectable is None:
      return None, None
    return self.difference.low, self.difference.high

  @property
  def verdict(self) -> str:
    """What may be said.

    There is a difference where the test sees it in these models and the
    interval in those of other seeds. Else both are as good where that was
    shown, and else nothing was.
    """
    if self.p_corrected < SIGNIFICANT and self.difference.low > 0:
      return "a > b"
    if self.p_corrected < SIGNIFICANT and self.difference.high < 0:
      return "a < b"
    if self.equivalence_corrected < SIGNIFICANT:
      return "equivalent"
    return "no difference seen"

  @property
  def sign(self) -> str:
    """The same between two names."""
    signs = {"a > b": ">", "a < b": "<", "equivalent": "="}
    return signs.get(self.verdict, "≈")

  def __str__(self) -> str:
    low, high = self.bounds
    around = "" if low is None else f" [{low:+.3f}, {high:+.3f}]"
    seen = "nothing" if self.detectable is None else f"{self.detectable:.3f}"
    return (
      f"{self.difference.mean:+.3f}{around}, p {self.p_corrected:.3f},"
      f" equivalent p {self.equivalence_corrected:.3f}, sees {seen}"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison(Compared):
  """One system against the baseline on one measure.

  Attributes:
    system: Name of the system compared.
    baseline: Name of the system it is compared with.
    measure: Name of the measure.
  """

  system: str
  baseline: str
  measure: str


def family(
  pairs: Sequence[Paired], *, flips: int = 10_000, seed: int = 0
) -> list[Compared]:
  """Tests pairs of systems as one family.

  Args:
    pairs: Of systems.
    flips: Sign assignments that a test draws.
    seed: Of tests and intervals.
  """
  found = [
    crossed.difference(one.ours, one.theirs, one.clusters, seed=seed)
    for one in pairs
  ]
  p_values = [
    sign_flip_test(
      np.mean(np.atleast_2d(one.ours), 0)
      - np.mean(np.atleast_2d(one.theirs), 0),
      clusters=one.clusters,
      flips=flips,
      seed=seed,
    )
    for one in pairs
  ]
  same = [one.equivalence(MARGIN) for one in found]
  return [
    Compared(
      difference=one.interval(),
      p_value=p,
      p_corrected=corrected,
      equivalence_p=equal,
      equivalence_corrected=equal_corrected,
      detectable=one.detectable(power=POWER, level=SIGNIFICANT),
    )
    for one, p, corrected, equal, equal_corrected in zip(
      found, p_values, holm(p_values), same, holm(same), strict=True
    )
  ]


def compare(
  per_query: PerQuery,
  *,
  baseline: str,
  measures: Sequence[str],
  clusters: Mapping[str, Hashable] | None = None,
  flips: int = 10_000,
  seed: int = 0,
) -> list[Comparison]:
  """Compares every system with the baseline on every measure.

  Holm's family is all that is returned: systems times measures.

  Args:
    per_query: System to measure to query id to value
      (`Evaluation.per_query`), for the same queries in each.
    baseline: The system the others are compared with.
    measures: Measures to compare on.
    clusters: Query id to its cluster; None for one of its own.
    flips: Sign assignments to draw.
    seed: Of the tests and the intervals.

  Returns:
    Comparisons, systems in the order given, measures within a system.

  Raises:
    UserError: Two systems answer different queries.
  """
  pairs = [(s, m) for s in per_query if s != baseline for m in measures]
  paired = [
    _paired(
      per_query[system][measure],
      per_query[baseline][measure],
      clusters,
      names=(system, baseline),
    )
    for system, measure in pairs
  ]
  return [
    Comparison(system=system, baseline=baseline, measure=measure, **vars(found))
    for (system, measure), found in zip(
      pairs, family(paired, flips=flips, seed=seed), strict=True
    )
  ]


def _paired(
  ours: Mapping[str, float],
  theirs: Mapping[str, float],
  clusters: Mapping[str, Hashable] | None,
  *,
  names: tuple[str, str],
) -> Paired:
  if ours.keys() != theirs.keys():
    odd = next(iter(ours.keys() ^ theirs.keys()))
    raise UserError(
      f"{names[0]} and {names[1]} were evaluated on different queries"
      f" ({odd!r} is in one only): compare them on the same qrels"
    )
  return Paired(
    ours=np.array([list(ours.values())]),
    theirs=np.array([[theirs[query] for query in ours]]),
    clusters=clusters and [clusters[query] for query in ours],
  )
