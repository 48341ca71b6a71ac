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

  By least squares, a point for each rung. Two things make it uncertain. Rungs
  lie off the line, by their seeds, their documents and because it need not be
  one: that is the error of a regression, with R - 2 degrees of freedom. And
  other queries would tilt all of the line: clusters are resampled, on all rungs
  alike, with what the regression has not seen of how they differ.

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
  weights = x / (x @ x)
  off = _off_the_line(x)
  means = sums.sum(1) / groups.sizes.sum()
  around = float(means @ off @ means) / (len(x) - 2) / (x @ x)
  error = Error(size=max(around, 0.0) ** 0.5, freedom=len(x) - 2)
  own = sums - means[:, None] * groups.sizes
  known = float(np.trace(off @ own @ own.T)) / (len(x) - 2) / (x @ x)
  tilt = weights @ own
  left = max(1 - known / (tilt @ tilt), 0.0) if tilt.any() else 0.0
  return groups.sampled(
    weights @ means * groups.sizes + left**0.5 * tilt,
    [error],
    resamples=resamples,
    seed=seed,
  )


def _off_the_line(x: np.ndarray) -> np.ndarray:
  """Returns the projection on what a line through centred x leaves [R, R]."""
  return np.eye(len(x)) - 1 / len(x) - np.outer(x, x) / (x @ x)
