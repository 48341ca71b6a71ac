"""Training queries chosen for a coverage."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genret.core.errors import ConfigError
from genret.evaluation import coverage, splits

DOCNOS = [f"d{i}" for i in range(40)]
# Two training queries of each document, and one about two of them at a time.
TRAIN = {
  **{f"a{d}": {d: 1} for d in DOCNOS},
  **{f"b{d}": {d: 2} for d in DOCNOS},
  **{f"c{d}": {d: 1, e: 1} for d, e in itertools.pairwise(DOCNOS)},
}
TEST = {f"t{d}": {d: 1} for d in DOCNOS[:20]}
DEV = {f"v{d}": {d: 1} for d in DOCNOS[15:30]}


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_is_as_it_is_wanted(share):
  found = coverage.cover(TRAIN, [TEST, DEV], share=share)
  assert splits.coverage(found.train, TEST) == share
  assert splits.coverage(found.train, DEV) == pytest.approx(share, abs=0.05)
  for query, judged in found.train.items():
    assert judged == TRAIN[query]
    asked = judged.keys() & {
      d for q in (*TEST.values(), *DEV.values()) for d in q
    }
    assert asked <= found.covered
  # No query goes that could have stayed.
  gone = TRAIN.keys() - found.train.keys()
  closed = {d for q in (*TEST.values(), *DEV.values()) for d in q}
  closed -= found.covered
  assert all(closed & TRAIN[query].keys() for query in gone)


def test_documents_are_chosen_one_after_another():
  """What is covered at a share is covered at a larger one."""
  simple = {
    query: judged for query, judged in TRAIN.items() if len(judged) == 1
  }
  few, many = (
    coverage.cover(simple, [TEST], share=share).covered for share in (0.3, 0.6)
  )
  assert few < many
  other = coverage.cover(simple, [TEST], share=0.3, seed=1).covered
  assert len(other) == len(few) and other != few


@given(
  st.dictionaries(
    st.integers(0, 30),
    st.sets(st.sampled_from(DOCNOS[:12]), min_size=1, max_size=3),
    min_size=1,
  ),
  st.floats(0, 1),
)
def test_what_is_covered_has_a_query_and_what_is_not_has_none(train, share):
  train = {str(q): dict.fromkeys(sorted(d), 1) for q, d in train.items()}
  try:
    found = coverage.cover(train, [TEST], share=share)
  except ConfigError:
    return
  trained = {docno for judged in found.train.values() for docno in judged}
  asked = {d for judged in TEST.values() for d in judged}
  assert trained & asked == found.covered & asked
  assert abs(splits.coverage(found.train, TEST) - share) <= coverage.NEAR + 0.5
  assert set(found.needed) <= found.train.keys()


def test_so_many_queries_stay_and_the_coverage_with_them():
  found = coverage.cover(TRAIN, [TEST, DEV], share=0.5)
  least = len(found.needed)
  for size in (least, least + 7, len(found.train)):
    kept = coverage.limited(found, size)
    assert len(kept) == size
    assert list(kept) == [q for q in found.train if q in kept]
    assert splits.coverage(kept, TEST) == 0.5
  assert coverage.limited(found, None) == found.train
  for size in (least - 1, len(found.train) + 1):
    with pytest.raises(ConfigError, match="training queries are wanted"):
      coverage.limited(found, size)


def test_what_cannot_be_is_refused():
  with pytest.raises(ConfigError, match="lies between 0 and 1; 1.5 came"):
    coverage.cover(TRAIN, [TEST], share=1.5)
  few = {query: TRAIN[query] for query in ("ad0", "ad39")}
  with pytest.raises(ConfigError, match="0.050 is as near as the 20 test"):
    coverage.cover(few, [TEST], share=0.5)
  with pytest.raises(ConfigError, match="leaves no training query"):
    coverage.cover({"ad0": {"d0": 1}}, [TEST], share=0.0)


def test_grades_below_the_least_cover_nothing():
  low = {"x": {"d0": 1}, "y": {"d1": 2}}
  test = {"t": {"d0": 2}, "u": {"d1": 2}}
  found = coverage.cover(low, [test], share=0.5, relevance=2)
  assert found.covered == {"d1"}
  assert list(found.train) == ["x", "y"]
