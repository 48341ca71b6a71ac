"""Is one system better than another? Tests and intervals paired by query."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from genret.core.errors import UserError

# Sums of the same numbers in another order differ by rounding; such flips are
# as extreme as the observed one, not less.
_ROUNDING = 1e-9
_CHUNK = 2_000_000  # signs drawn at once: 16 MB as float64


@dataclass(frozen=True, kw_only=True)
class Interval:
  """A confidence interval of a mean; low <= mean <= high."""

  mean: float
  low: float
  high: float
  confidence: float


def sign_flip_test(
  differences: Sequence[float] | np.ndarray,
  *,
  clusters: Sequence[Hashable] | None = None,
  flips: int = 10_000,
  seed: int = 0,
) -> float:
  """Return the two-sided p-value of a paired randomisation test of the mean.

  Were the two systems exchangeable, each query's difference would be as likely
  to have the other sign (Fisher 1935; for retrieval: Smucker, Allan and
  Carterette, CIKM 2007). The p-value is the share of sign assignments whose
  mean is at least as far from zero as the one observed. All of them are
  enumerated where there are at most `flips`; otherwise `flips` are drawn and
  the observed one is counted in, so that no p-value is ever zero.

  Three queries, all better: of eight assignments two are as extreme.

  >>> sign_flip_test([0.5, 1.0, 0.25])
  0.25

  Queries of one cluster are not exchangeable one by one, and flip together:

  >>> sign_flip_test([0.5, 1.0, 0.25], clusters="aab")
  0.5

  Args:
    differences: System minus baseline, one value a query.
    clusters: Of each query; None for one of its own.
    flips: Assignments to draw.
    seed: Of the draw.
  """
  values = np.asarray(differences, dtype=np.float64)
  if values.ndim != 1 or not values.size or not np.isfinite(values).all():
    raise UserError(
      "a paired test needs one finite difference for each of at least one"
      f" query, got shape {values.shape}"
    )
  if clusters is not None:
    values = _cluster_sums(values, clusters)
  values = values[values != 0]  # a flipped zero changes nothing
  threshold = abs(values.sum()) - _ROUNDING * np.abs(values).sum()
  if 1 << len(values) <= flips:
    signs = _all_signs(len(values))
    return float(np.mean(np.abs(signs @ values) >= threshold))
  rng = np.random.default_rng(seed)
  extreme = sum(
    int(np.sum(np.abs(signs @ values) >= threshold))
    for signs in _drawn_signs(rng, flips, len(values))
  )
  return (1 + extreme) / (1 + flips)


def _cluster_sums(
  values: np.ndarray, clusters: Sequence[Hashable]
) -> np.ndarray:
  """Add up the values of each cluster: [Q] -> [C]."""
  sums: dict[Hashable, float] = {}
  for label, value in zip(clusters, values.tolist(), strict=True):
    sums[label] = sums.get(label, 0.0) + value
  return np.array(list(sums.values()))


def _all_signs(n: int) -> np.ndarray:
  """Return every row of n signs: [2^n, n]."""
  bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
  return 1.0 - 2.0 * bits


def _drawn_signs(
  rng: np.random.Generator, flips: int, n: int
) -> Iterator[np.ndarray]:
  """Yield `flips` random rows of n signs, some rows at a time."""
  rows = max(1, _CHUNK // n)
  for start in range(0, flips, rows):
    shape = (min(rows, flips - start), n)
    yield 1.0 - 2.0 * rng.integers(0, 2, shape, dtype=np.int8)


def holm(p_values: Sequence[float]) -> list[float]:
  """Correct a family of p-values by Holm's step-down method (Holm 1979).

  The smallest is multiplied by the number of tests m, the next by m - 1, and
  so on; a corrected value is never below one that came before it.

  >>> [round(p, 3) for p in holm([0.04, 0.01, 0.03])]
  [0.06, 0.03, 0.06]

  Args:
    p_values: In any order.

  Returns:
    The corrected values, in the order given.
  """
  given = np.asarray(p_values, dtype=np.float64)
  order = np.argsort(given, kind="stable")
  factors = np.arange(len(given), 0, -1)
  stepped = np.maximum.accumulate(given[order] * factors)
  corrected = np.empty_like(given)
  corrected[order] = np.minimum(stepped, 1.0)
  return corrected.tolist()


def bootstrap_interval(
  values: Sequence[float] | np.ndarray,
  *,
  confidence: float = 0.95,
  resamples: int = 10_000,
  seed: int = 0,
) -> Interval:
  """Return the percentile bootstrap interval of a mean over queries.

  For two systems hand over the differences by query: they are resampled in
  pairs. The bounds are SciPy's, and where all values are equal the interval
  is that value.

  >>> bootstrap_interval([0.5, 0.5]).high
  0.5

  Args:
    values: One a query.
    confidence: Share of intervals that should hold the true mean.
    resamples: Number of resamples.
    seed: Of the resampling.
  """
  from scipy import stats  # takes a second, and only comparisons need it

  sample = np.asarray(values, dtype=np.float64)
  if sample.ndim != 1 or not sample.size:
    raise UserError(f"an interval needs values, got shape {sample.shape}")
  mean = float(sample.mean())
  if sample.min() == sample.max():
    return Interval(mean=mean, low=mean, high=mean, confidence=confidence)
  bounds = stats.bootstrap(
    (sample,),
    np.mean,
    n_resamples=resamples,
    batch=max(1, _CHUNK // sample.size),
    confidence_level=confidence,
    method="percentile",
    rng=np.random.default_rng(seed),
  ).confidence_interval
  return Interval(
    mean=mean,
    low=float(bounds.low),
    high=float(bounds.high),
    confidence=confidence,
  )
