"""How quality falls as a corpus grows: slopes against log N."""

from collections.abc import Sequence

import numpy as np

from genret.core.errors import UserError
from genret.evaluation.crossed import Clusters, Error, Groups, Sampled

FEWEST = 5
"""Rungs that a slope needs: a line through fewer has too little to be off."""


def slope(
  documents: Sequence[int],
  values: Sequence[np.ndarray],
  clusters: Clusters | None = None,
  *,
  resamples: int = 10_000,
  seed: int = 0,
) -> Sampled:
  """Fits the mean of a measure to log10 of the number of documents.

  By least squares, a point for each rung. Two things make it uncertain. Other
  queries would give another slope: clusters are resampled, on all rungs alike.
  And rungs lie off the line, by their seeds, their documents and because it
  need not be one: their variance around it, less what it owes to chance on the
  queries, with R - 2 degrees of freedom.

  Args:
    documents: Of each rung.
    values: Of each rung [S, Q], the same queries; S may differ.
    clusters: Of each query [Q]; None for one of its own.
    resamples: As for `crossed.mean`.
    seed: Of the resampling.

  Returns:
    The slope a decade: what ten times as many documents add.

  Raises:
    UserError: There are fewer than five numbers of documents, or rungs differ
      in their queries.
  """
  if len(set(documents)) < FEWEST:
    raise UserError(
      f"a slope needs {FEWEST} rungs of different sizes;"
      f" {len(set(documents))} came"
    )
  tables = [np.atleast_2d(np.asarray(one, np.float64)) for one in values]
  if len(counts := {table.shape[1] for table in tables}) > 1:
    raise UserError(
      f"rungs of a slope answer the same queries; {sorted(counts)} of them came"
    )
  groups = Groups.of(clusters, tables[0].shape[1])
  sums = np.stack([groups.sums(table).mean(0) for table in tables])  # [R, C]
  x = np.log10(np.asarray(documents, np.float64))
  x -= x.mean()
  weights = x / (x**2).sum()
  error = Error(
    size=_off_the_line(x, sums, groups.sizes) / float((x**2).sum()) ** 0.5,
    freedom=len(x) - 2,
  )
  return groups.sampled(weights @ sums, [error], resamples=resamples, seed=seed)


def _off_the_line(x: np.ndarray, sums: np.ndarray, sizes: np.ndarray) -> float:
  """Returns how far rungs lie off their line, but for chance on queries.

  Args:
    x: Of each rung, centred [R].
    sums: Of the values of each rung and cluster [R, C].
    sizes: Queries of each cluster [C].
  """
  count = len(sizes)
  fitted = np.full((len(x), len(x)), 1 / len(x)) + np.outer(x, x) / (x @ x)
  off = np.eye(len(x)) - fitted
  means = sums.sum(1) / sizes.sum()
  variance = float(means @ off @ means) / (len(x) - 2)
  if count > 1:
    own = sums - means[:, None] * sizes
    chance = own @ own.T * count / (count - 1) / sizes.sum() ** 2  # [R, R]
    variance -= float(np.trace(off @ chance)) / (len(x) - 2)
  return max(variance, 0.0) ** 0.5
