"""Crossed intervals: against SciPy, by hand, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from genret.core.errors import UserError
from genret.evaluation import crossed
from genret.evaluation.significance import sign_flip_test

RANDOM = np.random.default_rng(7)


def test_one_seed_and_no_clusters_is_the_bootstrap_of_scipy():
  values = RANDOM.choice([0.0, 0.2, 0.5, 1.0], size=400, p=[0.5, 0.2, 0.2, 0.1])
  found = crossed.mean(values).interval()
  theirs = stats.bootstrap(
    (values,), np.mean, method="percentile", n_resamples=9999, rng=RANDOM
  ).confidence_interval
  assert found.mean == pytest.approx(values.mean())
  assert found.low == pytest.approx(theirs.low, abs=2e-3)
  assert found.high == pytest.approx(theirs.high, abs=2e-3)


def test_few_normal_values_have_the_interval_of_student():
  values = RANDOM.normal(1.0, 1.0, size=12)
  found = crossed.mean(values, resamples=40_000)
  low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
  width = found.interval().high - found.interval().low
  assert width == pytest.approx(high - low, rel=0.1)


def test_clusters_of_equal_queries_count_once():
  once = RANDOM.normal(size=150)
  labels = np.repeat(np.arange(150), 3)
  found = crossed.mean(np.repeat(once, 3), labels)
  assert found.clusters == 150
  alone = crossed.mean(once)
  assert np.allclose(found.deviations, alone.deviations)
  split = crossed.mean(np.repeat(once, 3)).interval()
  assert found.interval().high - once.mean() == pytest.approx(
    3**0.5 * (split.high - once.mean()), rel=0.1
  )


def test_the_error_of_seeds_by_hand():
  # Seeds differ by 2 everywhere, so nothing is left to chance on queries:
  # the standard error is that of 1, 3, 5: 2 / sqrt(3).
  sums = np.array([[1.0, 1.0], [3.0, 3.0], [5.0, 5.0]])
  assert crossed.seeds_error(sums, np.ones(2)) == pytest.approx(2 / 3**0.5)
  # Means are 1 and 2, their variance 1/2; queries leave residuals of ±1/2,
  # four squares of 1/4 over 1 x 1 cells and 2 queries, which is 1/2 too.
  sums = np.array([[0.0, 2.0], [2.0, 2.0]])
  assert crossed.seeds_error(sums, np.ones(2)) == 0.0
  assert crossed.seeds_error(sums[:1], np.ones(2)) == 0.0


def test_the_error_of_seeds_is_that_of_an_analysis_of_variance():
  values = RANDOM.normal(size=(4, 30)) + RANDOM.normal(size=(4, 1))
  rows = values.mean(1) - values.mean()
  columns = values.mean(0) - values.mean()
  rest = values - values.mean() - rows[:, None] - columns
  between = 30 * (rows**2).sum() / 3
  interaction = (rest**2).sum() / (3 * 29)
  wanted = np.sqrt((between - interaction) / (4 * 30))
  assert crossed.seeds_error(values, np.ones(30)) == pytest.approx(wanted)


def test_seeds_that_differ_widen_the_interval():
  queries = RANDOM.normal(size=200)
  same = np.stack([queries] * 3)
  apart = same + np.array([[-1.0], [0.0], [1.0]])
  narrow, wide = (crossed.mean(v).interval() for v in (same, apart))
  assert narrow.mean == pytest.approx(wide.mean)
  assert narrow.low == pytest.approx(crossed.mean(queries).interval().low)
  # Student's t of two degrees of freedom, 4.3 standard errors of 1/sqrt(3).
  assert wide.high - wide.mean == pytest.approx(4.303 / 3**0.5, rel=0.1)


def test_differences_pair_queries_and_not_seeds():
  hard = RANDOM.normal(size=300)
  ours = hard + 0.1 + RANDOM.normal(0, 0.01, size=(3, 300))
  theirs = hard + RANDOM.normal(0, 0.01, size=(2, 300))
  found = crossed.difference(ours, theirs).interval()
  assert found.mean == pytest.approx(0.1, abs=0.01)
  assert 0.09 < found.low < found.high < 0.11
  turned = crossed.difference(theirs, ours).interval()
  assert turned.mean == pytest.approx(-found.mean)


def test_equivalence_is_that_of_two_t_tests():
  values = RANDOM.normal(0.005, 0.1, size=300)
  margin = 0.02
  theirs = max(
    stats.ttest_1samp(values, -margin, alternative="greater").pvalue,
    stats.ttest_1samp(values, margin, alternative="less").pvalue,
  )
  found = crossed.mean(values)
  assert found.equivalence(margin) == pytest.approx(theirs, abs=0.01)
  inside = found.interval(0.9)
  assert (found.equivalence(margin) < 0.05) == (
    -margin < inside.low and inside.high < margin
  )
  assert crossed.mean(values + 0.02).equivalence(margin) > 0.5
  with pytest.raises(UserError, match="over 0"):
    found.equivalence(0.0)


def test_what_can_be_detected_is_what_tables_of_power_say():
  values = RANDOM.normal(0, 1, size=400)
  wanted = (1.960 + 0.842) * values.std(ddof=1) / 20
  found = crossed.mean(values).detectable()
  assert found == pytest.approx(wanted, rel=0.04)
  assert crossed.mean(values).detectable(power=0.5) < found


def test_four_of_five_see_what_can_be_detected():
  random = np.random.default_rng(0)
  noise = random.normal(size=(400, 60))
  least = np.mean([crossed.mean(one).detectable() for one in noise[:20]])
  seen = [sign_flip_test(one + least, flips=400) < 0.05 for one in noise]
  assert np.mean(seen) == pytest.approx(0.8, abs=0.06)


def holds(make, truth, *, repetitions):
  """Says how often the interval holds the truth; clusters are shared."""
  random = np.random.default_rng(0)
  found = 0
  for _ in range(repetitions):
    values, clusters = make(random)
    one = crossed.mean(values, clusters, resamples=2000).interval()
    found += one.low <= truth <= one.high
  return found / repetitions


def crossed_effects(seeds, spread):
  """Makes values of seeds that differ by `spread` as much as queries do."""
  sizes = np.random.default_rng(1).geometric(0.5, size=120)  # queries a cluster
  labels = np.repeat(np.arange(120), sizes)
  width = spread * 1.4 / 120**0.5 * seeds**0.5

  def make(random):
    queries = random.normal(size=120)[labels] + random.normal(size=len(labels))
    chance = random.normal(size=(seeds, len(labels)))
    return queries + chance + width * random.normal(size=(seeds, 1)), labels

  return make


@pytest.mark.parametrize(
  ("seeds", "spread"), [(1, 0.0), (3, 0.0), (3, 0.5), (3, 1.0), (5, 1.0)]
)
def test_95_of_100_intervals_hold_the_truth(seeds, spread):
  share = holds(crossed_effects(seeds, spread), 0.0, repetitions=300)
  assert 0.92 < share < 0.98  # .95 and 2.4 standard errors


@pytest.mark.slow
@pytest.mark.parametrize(
  ("seeds", "spread"),
  [(1, 0.0), (3, 0.0), (3, 0.5), (3, 1.0), (3, 2.0), (5, 0.5)],
)
def test_94_to_96_of_100_intervals_hold_the_truth(seeds, spread):
  share = holds(crossed_effects(seeds, spread), 0.0, repetitions=3000)
  assert 0.936 <= share <= 0.966  # 0.95 ± .01, and what chance adds


@pytest.mark.parametrize(
  "values", [[], [[]], [np.nan], np.zeros((2, 2, 2)), np.zeros((0, 3))]
)
def test_what_has_no_mean_is_refused(values):
  with pytest.raises(UserError, match="finite values"):
    crossed.mean(values)


def test_each_query_has_one_cluster():
  with pytest.raises(UserError, match="2 clusters came for 3 queries"):
    crossed.mean([1.0, 2.0, 3.0], ["a", "b"])
  with pytest.raises(UserError, match=r"same queries; \[2, 3\]"):
    crossed.difference(np.ones((1, 3)), np.ones((1, 2)))


def test_one_cluster_says_nothing_of_others():
  found = crossed.mean([0.0, 1.0], ["a", "a"])
  assert found.clusters == 1
  assert found.interval().low == found.interval().high == 0.5
  assert found.equivalence(0.9) == 1.0 and found.detectable() is None


def test_shares_have_intervals_of_shares():
  found = crossed.mean(np.repeat([0.0, 1.0], [19, 1])).interval()
  assert found.low == 0.0 and 0.05 < found.high < 0.3
  turned = crossed.mean(np.repeat([1.0, 0.0], [19, 1])).interval()
  assert turned.high == 1.0 and 0.7 < turned.low < 0.95
  gap = crossed.difference([0.0, 0.0, 0.0, 1.0], np.zeros(4)).interval()
  assert gap.low < 0.0
  assert crossed.mean([-1.0, 0.0, 0.0, 1.0]).interval().low < 0.0


def test_many_clusters_are_resampled_less_and_repeat(monkeypatch):
  values = np.arange(30.0) % 7
  whole = crossed.mean(values).deviations
  monkeypatch.setattr(crossed, "_MOST", 60_000)
  monkeypatch.setattr(crossed, "_CHUNK", 100)
  found = crossed.mean(values).deviations
  assert (len(whole), len(found)) == (10_000, 2_000)
  assert np.array_equal(found, crossed.mean(values).deviations)
  assert found.std() == pytest.approx(whole.std(), rel=0.1)
