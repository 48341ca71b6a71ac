"""Slopes against log N: against SciPy, by hand, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from genret.core.errors import UserError
from genret.evaluation.slopes import slope

RUNGS = [1_000, 2_000, 4_000, 8_000, 16_000, 61_000]


def test_a_line_is_found_and_certain():
  x = np.log10(RUNGS)
  values = [np.full((2, 50), 2.0 - 0.1 * one) for one in x]
  found = slope(RUNGS, values).interval()
  assert found.mean == pytest.approx(-0.1)
  assert found.low == pytest.approx(-0.1) == pytest.approx(found.high)


def test_equal_queries_leave_the_regression_of_scipy():
  means = np.array([0.61, 0.55, 0.52, 0.47, 0.46, 0.33])
  theirs = stats.linregress(np.log10(RUNGS), means)
  half = stats.t.ppf(0.975, 4) * theirs.stderr
  found = slope(RUNGS, [np.full(40, m) for m in means], resamples=40_000)
  assert found.mean == pytest.approx(theirs.slope)
  interval = found.interval()
  assert interval.high - interval.low == pytest.approx(2 * half, rel=0.03)


def test_clusters_are_resampled_on_all_rungs_alike():
  random = np.random.default_rng(0)
  line = 1.0 - 0.1 * np.log10(RUNGS)[:, None]
  hard = random.normal(size=300)
  found = slope(RUNGS, list(line + hard)).interval()
  # Hard queries are as hard on every rung, so they add nothing.
  assert found.high - found.low < 1e-6
  # Some queries suffer more than others from a larger corpus.
  own = random.normal(size=100) * (np.log10(RUNGS)[:, None] - 3.5)
  noisy = list(np.repeat(line + own, 3, axis=1))
  labels = np.repeat(np.arange(100), 3)
  wide = slope(RUNGS, noisy, labels).interval()
  narrow = slope(RUNGS, noisy).interval()
  assert wide.high - wide.low == pytest.approx(
    3**0.5 * (narrow.high - narrow.low), rel=0.1
  )


@pytest.mark.parametrize("off", [0.0, 0.05, 0.2])
def test_95_of_100_slopes_hold_the_truth(off):
  random = np.random.default_rng(1)
  labels = np.repeat(np.arange(80), 2)
  hold, repetitions = 0, 400
  line = 1.0 - 0.1 * np.log10(RUNGS)[:, None]
  for _ in range(repetitions):
    values = line + random.normal(size=80)[labels]
    values = values + random.normal(size=(6, 80))[:, labels]
    values = values + off * random.normal(size=(6, 1))
    found = slope(RUNGS, list(values), labels, resamples=1000).interval()
    hold += found.low <= -0.1 <= found.high
  assert 0.925 < hold / repetitions < 0.98  # .95 and 2.5 standard errors


def test_under_five_rungs_no_slope():
  values = [np.ones(3)] * 4
  with pytest.raises(UserError, match="needs 5 rungs of different sizes; 4"):
    slope(RUNGS[:4], values)
  with pytest.raises(UserError, match="needs 5 rungs of different sizes; 3"):
    slope([1, 2, 2, 3, 3], [*values, np.ones(3)])


def test_rungs_of_other_queries_are_refused():
  values = [np.ones(3)] * 5 + [np.ones(4)]
  with pytest.raises(UserError, match="same queries"):
    slope(RUNGS, values)
