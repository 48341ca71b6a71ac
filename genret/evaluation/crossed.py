"""Intervals of means over seeds and queries, both drawn from many.

A mean over S seeds and Q queries would be another with other seeds and with
other queries. Queries come in clusters (those about one article are answered
alike), which are resampled whole. Of seeds there are too few to resample: three
of them, drawn with replacement, show a third too little variance. Their part in
each resample is drawn from a normal distribution instead, at the variance
between the means of seeds less what these owe to chance on the queries (the
interaction of a two-way analysis of variance).

Both parts together are then stretched as Student's t is against the normal
distribution: at 95 % to a t between those of C - 1 and of S - 1 degrees of
freedom, by the shares of queries and seeds in the variance (after Cochran and
Cox, Experimental Designs, 1950, whose weight of seeds, the share itself, makes
intervals that hold the truth in up to 96.6 % of simulated studies).
"""

import dataclasses
import functools
import math
from collections.abc import Hashable, Sequence

import numpy as np

from genret.core.errors import UserError
from genret.evaluation.significance import Interval

Clusters = Sequence[Hashable] | np.ndarray

_MOST = 64_000_000  # counts of resamples that are kept: bytes
_FEWEST = 1_000  # resamples
_CHUNK = 200_000  # counts multiplied at once; as float64 they stay in a cache
_UPPER = 0.975  # where parts are stretched as they should be
_EXPONENT = 1.25  # of the share of seeds; 94 to 96 % hold the truth with it
_HALVINGS = 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampled:
  """An estimate, and how it would vary.

  Attributes:
    mean: The estimate.
    deviations: Of resamples from it [R].
    clusters: Of queries; with fewer than two nothing is known of how it
      varies, and no deviation is over 0.
    within: What no mean of these values can be below or above.
  """

  mean: float
  deviations: np.ndarray
  clusters: int
  within: tuple[float, float] = (-math.inf, math.inf)

  def interval(self, confidence: float = 0.95) -> Interval:
    """Returns the interval that so many resamples lie in, centred."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(self.deviations, [tail, 1 - tail])
    least, most = self.within
    return Interval(
      mean=self.mean,
      low=max(self.mean + min(float(low), 0.0), least),
      high=min(self.mean + max(float(high), 0.0), most),
      confidence=confidence,
    )

  def equivalence(self, margin: float) -> float:
    """Returns the p-value of two one-sided tests (Schuirmann 1987).

    The estimate lies within the margin on both sides, unless chance alone
    brought it there: the greater of both p-values. It is below .05 where the
    90 % interval lies within the margin.

    Args:
      margin: Differences below it count as none.

    Raises:
      UserError: The margin is not over 0.
    """
    if not margin > 0:
      raise UserError(f"a margin of equivalence is over 0; {margin} came")
    if self.clusters < 2:
      return 1.0
    found = self.mean + self.deviations
    over, under = np.sum(found >= margin), np.sum(found <= -margin)
    return float((1 + max(over, under)) / (1 + len(found)))

  def detectable(
    self, *, power: float = 0.8, level: float = 0.05
  ) -> float | None:
    """Returns the least true difference that such data would show.

    That is half the interval's width, and the distance that a mean falls
    short of the truth with a probability of 1 - power. None of one cluster.

    Args:
      power: Share of repetitions in which it would be seen.
      level: Of the two-sided test.
    """
    if self.clusters < 2:
      return None
    at = [level / 2, 1 - level / 2, 1 - power, power]
    low, high, below, above = np.quantile(self.deviations, at)
    return float((high - low + above - below) / 2)


def mean(
  values: np.ndarray,
  clusters: Clusters | None = None,
  *,
  resamples: int = 10_000,
  seed: int = 0,
) -> Sampled:
  """Returns the mean of values, and how other seeds and queries change it.

  Two seeds, four queries about two articles:

  >>> found = mean(
  ...   np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]), "aabb"
  ... )
  >>> found.mean, found.clusters
  (0.375, 2)

  Args:
    values: [S, Q]; of one seed, or [Q], only queries vary. Where all are from
      0 to 1, as shares are, so is the interval.
    clusters: Of each query the cluster [Q]; None for one of its own.
    resamples: Fewer are made of over 6,400 clusters, at least 1,000.
    seed: Of the resampling.
  """
  found = combined([(1.0, values)], clusters, resamples=resamples, seed=seed)
  if np.min(values) < 0 or np.max(values) > 1:
    return found
  return dataclasses.replace(found, within=(0.0, 1.0))


def difference(
  ours: np.ndarray,
  theirs: np.ndarray,
  clusters: Clusters | None = None,
  *,
  resamples: int = 10_000,
  seed: int = 0,
) -> Sampled:
  """Returns how much better one system is than another on the same queries.

  Queries are paired; seeds are not, even where both systems have as many:
  the same seed draws other parameters in another model.

  Args:
    ours: [S, Q], or [Q].
    theirs: [T, Q], or [Q].
    clusters: As for `mean`.
    resamples: As for `mean`.
    seed: Of the resampling.
  """
  return combined(
    [(1.0, ours), (-1.0, theirs)], clusters, resamples=resamples, seed=seed
  )


def combined(
  parts: Sequence[tuple[float, np.ndarray]],
  clusters: Clusters | None = None,
  *,
  resamples: int = 10_000,
  seed: int = 0,
) -> Sampled:
  """Returns a sum of means, each with its weight, on the same queries.

  Args:
    parts: Weight and values [S, Q] of each system; S may differ.
    clusters: As for `mean`.
    resamples: As for `mean`.
    seed: Of the resampling.

  Raises:
    UserError: Values are not finite, or of other queries than clusters are.
  """
  weights = [weight for weight, _ in parts]
  tables = [_checked(values) for _, values in parts]
  if len(counts := {table.shape[1] for table in tables}) > 1:
    raise UserError(
      "systems that are compared answer the same queries;"
      f" {sorted(counts)} of them came"
    )
  groups = Groups.of(clusters, tables[0].shape[1])
  sums = [groups.sums(table) for table in tables]
  total = sum(w * t.mean(0) for w, t in zip(weights, sums, strict=True))
  errors = [
    Error(
      size=abs(weight) * seeds_error(table, groups.sizes),
      freedom=len(table) - 1,
    )
    for weight, table in zip(weights, sums, strict=True)
  ]
  return groups.sampled(total, errors, resamples=resamples, seed=seed)


def seeds_error(sums: np.ndarray, sizes: np.ndarray) -> float:
  """Returns the standard error that a mean over seeds owes to seeds.

  The variance between means of seeds, less that of their interaction with
  queries, over S; 0 of one seed, or where nothing is left.

  Args:
    sums: Of the values of each cluster [S, C].
    sizes: Queries of each cluster [C].
  """
  num_seeds, count = sums.shape
  if num_seeds < 2 or count < 2:
    return 0.0
  means = sums.sum(1) / sizes.sum()
  own = (sums - means[:, None] * sizes) * count / sizes.sum()
  rest = own - own.mean(0)
  cells = (num_seeds - 1) * (count - 1)
  interaction = float((rest**2).sum()) / cells / count
  between = float(means.var(ddof=1))
  return max(between - interaction, 0.0) ** 0.5 / num_seeds**0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Error:
  """A standard error, and how well it is known.

  Attributes:
    size: The error.
    freedom: Degrees of freedom of its estimate.
  """

  size: float
  freedom: float

  @classmethod
  def together(cls, errors: Sequence["Error"]) -> "Error":
    """Returns that of a sum (Welch 1947, Satterthwaite 1946).

    >>> one = Error(size=3.0, freedom=2)
    >>> Error.together([one, Error(size=3.0, freedom=2)]).freedom
    4.0
    """
    known = [e for e in errors if e.size > 0]
    variance = sum(e.size**2 for e in known)
    if not known:
      return cls(size=0.0, freedom=1.0)
    spread = sum(e.size**4 / e.freedom for e in known)
    return cls(size=variance**0.5, freedom=variance**2 / spread)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Groups:
  """Queries in clusters.

  Attributes:
    numbers: Of each query that of its cluster [Q].
    sizes: Queries of each cluster [C].
  """

  numbers: np.ndarray
  sizes: np.ndarray

  @classmethod
  def of(cls, clusters: Clusters | None, queries: int) -> "Groups":
    """Numbers clusters; None makes each query one of its own."""
    labels = range(queries) if clusters is None else list(clusters)
    if len(labels) != queries:
      raise UserError(
        f"{len(labels)} clusters came for {queries} queries: each query has one"
      )
    known: dict[Hashable, int] = {}
    numbers = [known.setdefault(label, len(known)) for label in labels]
    sizes = np.bincount(numbers).astype(np.float64)
    return cls(numbers=np.array(numbers), sizes=sizes)

  def sums(self, values: np.ndarray) -> np.ndarray:
    """Sums values of each cluster: [S, Q] -> [S, C]."""
    out = np.zeros((len(values), len(self.sizes)))
    for row, mine in zip(out, values, strict=True):
      row += np.bincount(self.numbers, mine, minlength=len(row))
    return out

  def sampled(
    self,
    sums: np.ndarray,
    errors: Sequence[Error],
    *,
    resamples: int,
    seed: int,
  ) -> Sampled:
    """Returns a mean over queries, and how it varies with all that does.

    Args:
      sums: Of the values of each cluster [C].
      errors: What varies besides queries.
      resamples: Unless there are too many clusters.
      seed: Of the resampling.
    """
    count = len(self.sizes)
    resamples = min(resamples, max(_FEWEST, _MOST // count))
    deviations = np.zeros(resamples)
    if count > 1:
      other = Error.together(errors)
      queries = self.error(sums)
      random = np.random.default_rng((seed, 1))
      deviations = self._deviations(sums, resamples, seed)
      deviations *= (count / (count - 1)) ** 0.5
      deviations += other.size * random.normal(size=resamples)
      freedom = _freedom(queries, other)
      deviations *= np.sqrt(freedom / random.chisquare(freedom, resamples))
    mean = float(sums.sum() / self.sizes.sum())
    return Sampled(mean=mean, deviations=deviations, clusters=count)

  def error(self, sums: np.ndarray) -> Error:
    """Returns the standard error that a mean owes to queries."""
    count = len(self.sizes)
    own = sums - sums.sum() / self.sizes.sum() * self.sizes
    variance = (own**2).sum() * count / (count - 1) / self.sizes.sum() ** 2
    return Error(size=float(variance) ** 0.5, freedom=count - 1)

  def _deviations(
    self, sums: np.ndarray, resamples: int, seed: int
  ) -> np.ndarray:
    """Returns how far resampled means lie from the mean [R]."""
    count = len(self.sizes)
    own = sums - sums.sum() / self.sizes.sum() * self.sizes
    both = np.stack([own, self.sizes], 1)  # [C, 2]
    drawn = _drawn(count, resamples, seed)
    rows = max(1, _CHUNK // count)
    found = np.concatenate(
      [
        drawn[i : i + rows].astype(np.float64) @ both
        for i in range(0, resamples, rows)
      ]
    )  # [R, 2]
    return found[:, 0] / found[:, 1]


def _freedom(queries: Error, other: Error) -> float:
  """Returns the degrees of freedom of a t between those of two errors."""
  from scipy import special  # takes a moment, and only intervals need it

  variance = queries.size**2 + other.size**2
  share = other.size**2 / variance if variance else 0.0
  low, high = sorted((queries.freedom, other.freedom))
  if share == 0 or low == high:
    return queries.freedom
  weight = share**_EXPONENT
  wanted = weight * special.stdtrit(other.freedom, _UPPER)
  wanted += (1 - weight) * special.stdtrit(queries.freedom, _UPPER)
  for _ in range(_HALVINGS):  # t falls as freedom grows
    middle = (low * high) ** 0.5
    if special.stdtrit(middle, _UPPER) > wanted:
      low = middle
    else:
      high = middle
  return high


@functools.lru_cache(maxsize=4)
def _drawn(count: int, resamples: int, seed: int) -> np.ndarray:
  """Returns how often each cluster is in each resample [R, C], uint8."""
  random = np.random.default_rng((seed, 0))
  drawn = np.empty((resamples, count), np.uint8)
  rows = max(1, _CHUNK // count)
  for start in range(0, resamples, rows):
    size = min(rows, resamples - start)
    places = random.integers(0, count, (size, count))
    places += np.arange(size)[:, None] * count
    counts = np.bincount(places.ravel(), minlength=size * count)
    drawn[start : start + size] = counts.reshape(size, count)
  return drawn


def _checked(values: np.ndarray) -> np.ndarray:
  """Returns values as [S, Q]."""
  table = np.atleast_2d(np.asarray(values, dtype=np.float64))
  if table.ndim != 2 or not table.size or not np.isfinite(table).all():
    raise UserError(
      "an interval needs finite values [seeds, queries], at least one; got"
      f" shape {table.shape}"
    )
  return table
