import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genret.core.errors import UserError
from genret.evaluation.significance import (
  bootstrap_interval,
  holm,
  sign_flip_test,
)

# Differences of reciprocal ranks and of recalls have many ties and zeros.
differences = st.lists(
  st.sampled_from([-1.0, -0.5, -1 / 3, 0.0, 0.1, 0.25, 0.5, 2 / 3, 1.0]),
  min_size=1,
  max_size=9,
)


def enumerated(values):
  """The slow oracle: every assignment of signs to every query."""
  observed = abs(sum(values))
  extreme = [
    abs(sum(s * v for s, v in zip(signs, values, strict=True)))
    >= observed - 1e-9
    for signs in itertools.product((1, -1), repeat=len(values))
  ]
  return sum(extreme) / len(extreme)


@given(differences)
@settings(deadline=None)
def test_few_queries_are_enumerated(values):
  assert sign_flip_test(values) == pytest.approx(enumerated(values))


@given(differences.filter(lambda values: len(values) > 1 and any(values)))
@settings(deadline=None, max_examples=50)
def test_equals_scipy(values):
  # In sixtieths sums are exact: SciPy takes what rounding parts for unequal.
  theirs = stats.permutation_test(
    (np.round(60 * np.array(values)),),
    np.mean,
    permutation_type="samples",
    alternative="two-sided",
    n_resamples=np.inf,
  )
  # SciPy doubles the smaller tail, which is the same by symmetry.
  assert sign_flip_test(values) == pytest.approx(theirs.pvalue)


def test_drawn_flips_come_close_to_enumerated_ones():
  values = np.random.default_rng(3).normal(0.4, 1.0, size=12)
  exact = sign_flip_test(values, flips=4096)
  drawn = sign_flip_test(values, flips=4095)
  assert exact == pytest.approx(enumerated(values.tolist()))
  assert drawn == pytest.approx(exact, abs=0.02)


def test_a_large_sample_equals_scipy():
  values = np.random.default_rng(0).normal(0.05, 1.0, size=500)
  theirs = stats.ttest_1samp(values, 0.0).pvalue
  assert sign_flip_test(values) == pytest.approx(theirs, abs=0.02)


def test_clusters_flip_together():
  random = np.random.default_rng(0)
  values = random.normal(0.3, 1.0, size=24)
  labels = np.repeat(np.arange(8), 3)
  sums = values.reshape(8, 3).sum(1)
  assert sign_flip_test(values, clusters=labels) == sign_flip_test(sums)
  shuffled = random.permutation(24)
  again = sign_flip_test(values[shuffled], clusters=labels[shuffled])
  assert again == sign_flip_test(sums)


def test_p_values_of_clusters_are_uniform_where_those_of_queries_are_not():
  random = np.random.default_rng(0)
  labels = np.repeat(np.arange(25), 4)
  own = random.normal(size=(300, 25))[:, labels]
  noise = own + 0.5 * random.normal(size=(300, 100))
  found = [sign_flip_test(one, clusters=labels, flips=200) for one in noise]
  assert stats.kstest(found, "uniform").pvalue > 0.01
  alone = [sign_flip_test(one, flips=200) for one in noise]
  assert np.mean(np.array(alone) < 0.05) > 0.15


def test_no_p_value_is_zero_and_seeds_repeat():
  values = np.ones(40)
  assert sign_flip_test(values, flips=999) == 1 / 1000
  noise = np.random.default_rng(1).normal(size=200)
  assert sign_flip_test(noise, seed=5) == sign_flip_test(noise, seed=5)
  assert sign_flip_test(noise, seed=5) != sign_flip_test(noise, seed=6)


def test_equal_systems():
  assert sign_flip_test([0.0, 0.0]) == 1.0


def test_p_values_of_equal_systems_are_uniform():
  rng = np.random.default_rng(0)
  p_values = [
    sign_flip_test(rng.normal(size=25), flips=300, seed=i) for i in range(300)
  ]
  assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("values", [[], [float("nan")], [[1.0]]])
def test_no_differences_no_test(values):
  with pytest.raises(UserError, match="one finite difference"):
    sign_flip_test(values)


def test_holm_by_hand():
  # Sorted: .005 x 4 = .02, .01 x 3 = .03, .03 x 2 = .06, .04 -> .06.
  assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
    [0.03, 0.06, 0.06, 0.02]
  )
  assert holm([0.9, 0.8]) == [1.0, 1.0]
  assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(deadline=None)
def test_holm_rejects_what_stepping_down_rejects(p_values):
  corrected = holm(p_values)
  for level in (0.01, 0.05, 0.3):
    rejected = set()
    for step, i in enumerate(np.argsort(p_values, kind="stable")):
      if p_values[i] * (len(p_values) - step) > level:
        break
      rejected.add(int(i))
    assert {i for i, p in enumerate(corrected) if p <= level} == rejected


def test_interval_holds_the_mean_and_repeats():
  values = np.random.default_rng(0).random(200)
  found = bootstrap_interval(values, resamples=2000)
  assert found.low < found.mean < found.high
  assert found == bootstrap_interval(values, resamples=2000)
  wide = bootstrap_interval(values, resamples=2000, confidence=0.99)
  assert wide.low < found.low < found.high < wide.high
  error = values.std() / 200**0.5
  assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_interval_of_equal_values():
  found = bootstrap_interval([0.25] * 9)
  assert (found.low, found.mean, found.high) == (0.25, 0.25, 0.25)
  with pytest.raises(UserError, match="needs values"):
    bootstrap_interval([])


def test_thousands_of_queries_are_no_overflow():
  values = np.random.default_rng(0).normal(size=3000)
  assert 0 < sign_flip_test(values, flips=100) <= 1
