"""Comparisons with a baseline, and what may be said of them."""

import numpy as np
import pytest
from scipy import stats

from genret.core.errors import UserError
from genret.evaluation.comparison import Compared, Paired, compare, family
from genret.evaluation.significance import Interval


def test_compare_names_systems_and_corrects_over_all():
  queries = [f"q{i}" for i in range(10)]
  ones, zeros = dict.fromkeys(queries, 1.0), dict.fromkeys(queries, 0.0)
  per_query = {
    "ours": {"RR@10": ones, "R@1": zeros},
    "bm25": {"RR@10": zeros, "R@1": zeros},
    "other": {"RR@10": dict(list(zeros.items())[::-1]), "R@1": zeros},
  }
  found = compare(per_query, baseline="bm25", measures=["RR@10", "R@1"])
  assert [(c.system, c.measure) for c in found] == [
    ("ours", "RR@10"),
    ("ours", "R@1"),
    ("other", "RR@10"),
    ("other", "R@1"),
  ]
  assert found[0].baseline == "bm25"
  assert found[0].difference.mean == 1.0
  assert found[0].p_value == 2 / 1024
  assert found[0].p_corrected == 4 * 2 / 1024
  assert [c.p_corrected for c in found[1:]] == [1.0, 1.0, 1.0]


def test_compare_pairs_by_query_not_by_place():
  a = {"m": {"q1": 1.0, "q2": 0.0}}
  b = {"m": {"q2": 0.0, "q1": 1.0}}
  (found,) = compare({"a": a, "b": b}, baseline="b", measures=["m"])
  assert found.difference.low == found.difference.high == 0.0


def test_compare_refuses_other_queries():
  a, b = {"m": {"q1": 1.0}}, {"m": {"q2": 1.0}}
  with pytest.raises(UserError, match="different queries"):
    compare({"a": a, "b": b}, baseline="b", measures=["m"])


def test_articles_are_compared_and_not_queries():
  queries = [f"q{i}" for i in range(12)]
  ones, zeros = dict.fromkeys(queries, 1.0), dict.fromkeys(queries, 0.0)
  given = {"a": {"m": ones}, "b": {"m": zeros}}
  clusters = {query: i // 4 for i, query in enumerate(queries)}
  (found,) = compare(given, baseline="b", measures=["m"], clusters=clusters)
  assert found.p_value == 2 / 2**3


def test_one_article_shows_nothing():
  given = {"a": {"m": {"q1": 1.0, "q2": 1.0}}, "b": {"m": {"q1": 0, "q2": 0}}}
  clusters = {"q1": 0, "q2": 0}
  (found,) = compare(given, baseline="b", measures=["m"], clusters=clusters)
  assert found.verdict == "no difference seen" and found.detectable is None
  assert str(found).endswith("p 1.000, equivalent p 1.000, sees nothing")


def test_a_family_by_hand_and_by_scipy():
  random = np.random.default_rng(0)
  first, second = random.normal(0.05, 1.0, size=(2, 500))
  zero = np.zeros((1, 500))
  one, two = family(
    [Paired(ours=first, theirs=zero), Paired(ours=second, theirs=zero)]
  )
  p_values = [stats.ttest_1samp(v, 0.0).pvalue for v in (first, second)]
  assert [one.p_value, two.p_value] == pytest.approx(p_values, abs=0.02)
  low, high = sorted([one, two], key=lambda found: found.p_value)
  assert low.p_corrected == min(2 * low.p_value, 1)
  assert high.p_corrected == max(high.p_value, low.p_corrected)
  interval = stats.ttest_1samp(first, 0.0).confidence_interval(0.95)
  assert one.difference.low == pytest.approx(interval.low, abs=0.01)
  assert one.difference.high == pytest.approx(interval.high, abs=0.01)


@pytest.mark.parametrize(
  ("p", "low", "high", "same", "verdict", "sign"),
  [
    (0.01, 0.1, 0.3, 0.9, "a > b", ">"),
    (0.01, -0.3, -0.1, 0.9, "a < b", "<"),
    (0.01, -0.1, 0.3, 0.9, "no difference seen", "≈"),
    (0.2, -0.01, 0.01, 0.01, "equivalent", "="),
    (0.01, 0.001, 0.01, 0.01, "a > b", ">"),
    (0.2, 0.01, 0.3, 0.9, "no difference seen", "≈"),
  ],
)
def test_what_may_be_said(p, low, high, same, verdict, sign):
  interval = Interval(
    mean=(low + high) / 2, low=low, high=high, confidence=0.95
  )
  found = Compared(
    difference=interval,
    p_value=p,
    p_corrected=p,
    equivalence_p=same,
    equivalence_corrected=same,
    detectable=0.1,
  )
  assert (found.verdict, found.sign) == (verdict, sign)


@pytest.mark.slow
def test_equal_systems_whose_seeds_differ_are_rarely_told_apart():
  random = np.random.default_rng(5)
  clusters = np.repeat(np.arange(150), 2)
  claimed = alone = 0
  for _ in range(200):
    hard = random.normal(size=150)[clusters]
    pair = []
    for _ in range(2):
      own = hard + 0.5 * random.normal(size=150)[clusters]
      chance = 0.5 * random.normal(size=(3, 300))
      pair.append(own + chance + 0.09 * random.normal(size=(3, 1)))
    [found] = family(
      [Paired(ours=pair[0], theirs=pair[1], clusters=clusters)], flips=400
    )
    claimed += found.verdict in ("a > b", "a < b")
    alone += found.p_value < 0.05
  assert claimed <= 0.08 * 200 < 0.12 * 200 < alone
