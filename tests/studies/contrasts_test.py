"""Contrasts: which rows are compared, and what may be said of them."""

import dataclasses

import numpy as np
import pytest

from genret.core.errors import ConfigError, UserError
from genret.evaluation.significance import sign_flip_test
from genret.studies import contrasts
from genret.studies.contrasts import Pair
from genret.studies.grid import Choice, Study
from genret.studies.rows import Row

QUERIES = tuple(f"q{i}" for i in range(80))
BASE = np.tile([1.0, 0.0], 40)
BETTER = np.where(np.arange(80) % 8 == 1, 1.0, BASE)


def row(values, name="", hits=1.0, queries=QUERIES, **chosen):
  seeds = np.atleast_2d(values)
  results = [{"memorised": {"Hits@1": hits}, "dev": []} for _ in seeds]
  return Row(
    chosen=chosen,
    name=name,
    results=() if name else results,
    per_query=[
      {"R@1": dict(zip(queries, one.tolist(), strict=True))} for one in seeds
    ],
    parts={"all": queries},
    memorised=0.95,
  )


def study(**asked):
  return Study(
    axes={
      "docids": {"atomic": Choice(), "naive": Choice()},
      "inputs": {"d2q": Choice(), "daq": Choice()},
    },
    measures=("R@1",),
    contrasts=asked,
  )


def compared(*pairs):
  return contrasts.of_pairs(
    [Pair(name=f"{i}", a=a, b=b) for i, (a, b) in enumerate(pairs)],
    measure="R@1",
    named_before=True,
  )


def test_a_difference_is_seen_on_both_sides():
  found, turned = compared((row(BETTER), row(BASE)), (row(BASE), row(BETTER)))
  assert (found.verdict, found.sign) == ("a > b", ">")
  assert (turned.verdict, turned.sign) == ("a < b", "<")
  assert found.difference.mean == pytest.approx(0.125)
  assert found.p_value == sign_flip_test(BETTER - BASE)
  assert found.p_corrected == pytest.approx(2 * found.p_value)
  assert found.equivalence_p > 0.9 and found.detectable > 0.05
  assert str(found).startswith("+0.125 [+0.0")


def test_what_is_the_same_is_equivalent():
  [found] = compared((row(BASE), row(BASE)))
  assert (found.verdict, found.sign) == ("equivalent", "=")
  assert found.p_value == 1.0 and found.equivalence_p < 0.001


def test_few_queries_show_nothing():
  few = QUERIES[:8]
  one, other = np.tile([1.0, 0.0], 4), np.tile([0.0, 1.0], 4)
  [found] = compared((row(one, queries=few), row(other, queries=few)))
  assert (found.verdict, found.sign) == ("no difference seen", "≈")
  assert found.equivalence_p > 0.3 and found.detectable > 0.5


def test_seeds_that_disagree_leave_a_difference_in_doubt():
  # These three models differ, but nobody knows what a fourth would do.
  rest = np.where(np.arange(80) % 4 == 1, 1.0, BASE)
  ours = row(np.stack([BASE, BETTER, np.maximum(BETTER, rest)]))
  ours.per_query[2]["R@1"] = dict.fromkeys(QUERIES, 1.0)
  [found] = compared((ours, row(BASE)))
  assert found.p_value < 0.001 and found.difference.low < 0
  assert found.verdict == "no difference seen"


def test_signs_flip_by_article():
  ours, theirs = row(BETTER), row(BASE)
  clusters = {query: i // 40 for i, query in enumerate(QUERIES)}
  ours, theirs = (
    dataclasses.replace(one, clusters=clusters) for one in (ours, theirs)
  )
  [found] = compared((ours, theirs))
  assert found.p_value == 0.5  # two articles


def test_queries_are_paired_by_name():
  turned = row(BASE[::-1], queries=QUERIES[::-1])
  [found] = compared((row(BASE), turned))
  assert found.difference.low == found.difference.high == 0.0


def test_other_queries_are_refused():
  few = row(BASE[:8], queries=QUERIES[:8])
  pair = Pair(name="size", a=row(BASE), b=few)
  assert pair.hindrance("R@1", plateau=True) == "they answer different queries"
  with pytest.raises(UserError, match="size: they answer different queries"):
    contrasts.of_pairs([pair], measure="R@1", named_before=True)


def test_filters_name_rows_that_are_otherwise_equal():
  rows = [
    row(BASE, name="bm25"),
    *(
      row(BETTER if inputs == "d2q" else BASE, docids=docids, inputs=inputs)
      for docids in ("atomic", "naive")
      for inputs in ("d2q", "daq")
    ),
  ]
  asked = study(
    queries=("inputs=d2q", "inputs=daq"),
    corner=("docids=atomic,inputs=d2q", "docids=naive,inputs=daq"),
    words=("inputs=d2q", "baseline=bm25"),
  )
  found = list(contrasts.named(asked, rows))
  assert [
    (pair.name, pair.a.chosen["docids"], pair.b.chosen.get("docids"))
    for pair in found
  ] == [
    ("queries (atomic)", "atomic", "atomic"),
    ("queries (naive)", "naive", "naive"),
    ("corner", "atomic", "naive"),
    ("words (atomic)", "atomic", None),
    ("words (naive)", "naive", None),
  ]
  turned = study(words=("baseline=bm25", "inputs=d2q"))
  assert [pair.name for pair in contrasts.named(turned, rows)] == [
    "words (atomic)",
    "words (naive)",
  ]
  result = contrasts.asked(asked, rows)
  assert [one.verdict for one in result.contrasts] == ["a > b"] * 5
  assert result.untested == []


def test_rows_that_are_not_ready_are_not_tested():
  rows = [
    row(BETTER, docids="atomic", inputs="d2q", hits=0.5),
    row(BASE, docids="atomic", inputs="daq"),
  ]
  asked = study(
    queries=("inputs=d2q", "inputs=daq"), ids=("docids=atomic", "docids=naive")
  )
  result = contrasts.asked(asked, rows)
  assert result.contrasts == []
  assert result.untested == [
    ("queries", "atomic, d2q: under-trained"),
    ("ids", "no two rows have their figures"),
  ]


def test_names_that_begin_alike_and_places_alike_are_told_apart():
  rows = [
    row(BETTER, docids="atomic", inputs="d2q", hits=0.5),
    row(BETTER, docids="naive", inputs="d2q"),
    row(BASE, docids="atomic", inputs="daq"),
  ]
  asked = study(
    **{
      "queries": ("docids=atomic,inputs=d2q", "inputs=t5"),
      "queries too": ("inputs=d2q", "docids=atomic,inputs=daq"),
    }
  )
  result = contrasts.asked(asked, rows)
  assert [one.pair.name for one in result.contrasts] == ["queries too (naive)"]
  assert result.untested == [
    ("queries too (atomic)", "atomic, d2q: under-trained"),
    ("queries", "no two rows have their figures"),
  ]


@pytest.mark.parametrize(
  ("filters", "message"),
  [
    ("inputs=d2q", "has two filters"),
    (("inputs=d2q",), "has two filters"),
    (("input=d2q", "inputs=daq"), "names 'input' in 'input=d2q'.*'inputs'"),
    (("inputs=d3q", "inputs=daq"), "inputs=d3q; choices are d2q, daq. Did you"),
    (("seed=0", "seed=1"), "not seeds"),
  ],
)
def test_filters_of_nothing_are_refused(filters, message):
  with pytest.raises(ConfigError, match=message):
    contrasts.check(study(asked=filters))


def test_filters_of_systems_are_checked_too():
  asked = dataclasses.replace(
    study(asked=("inputs=d2q", "baseline=any")),
    systems={"SPLADE": {"docid=atomic": "a.trec"}},
  )
  with pytest.raises(ConfigError, match="system 'SPLADE' names 'docid'"):
    contrasts.check(asked)


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("corpus=a", "leaves open what was searched: expected rung=CHOICE"),
    ("corpus=a,rung=1k", "there is no run file a.trec"),
  ],
)
def test_a_system_searched_one_collection(text, message):
  asked = Study(
    axes={
      "corpus": {"a": Choice(flags={"prepare": ("--source=a",)})},
      "rung": {
        name: Choice(flags={"ladder": (f"--rungs={name}",)})
        for name in ("1k", "4k")
      },
      "inputs": {"d2q": Choice()},
    },
    systems={"SPLADE": {text: "a.trec"}},
  )
  with pytest.raises(ConfigError, match=message):
    contrasts.check(asked)
