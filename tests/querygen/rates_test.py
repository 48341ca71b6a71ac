import numpy as np

from genret.querygen.filter import Rule, judge
from genret.querygen.rates import RateCounts
from genret.tasks.synthetic import SyntheticQuery


def counted(rule, groups, *, depth=10, num_documents=6):
  counts = RateCounts(rule, depth=depth)
  for queries, ranks in groups:
    counts.add(queries, np.array(ranks), judge(queries, np.array(ranks), rule))
  return counts.rates(num_documents=num_documents)


def group(*kinds):
  return [
    SyntheticQuery(docno="d", text=f"text {i}", generator=name, grade=grade)
    for i, (name, grade) in enumerate(kinds)
  ]


GROUPS = [
  (group(("a", 2), ("a", 2), ("b", 0), ("b", None)), [1, 2, 0, 5]),
  (group(("a", 2)), [0]),
  (group(("b", 0), ("b", 0)), [1, 1]),
]


def test_rates_by_hand():
  rates = counted(Rule(k=2), GROUPS)
  assert (rates.queries, rates.kept) == (7, 4)
  assert rates.keep_rate == 4 / 7
  assert rates.verdicts == {"kept": 4, "missed": 3}
  assert rates.found == {1: 3, 2: 4, 3: 4, 10: 5}
  assert rates.by_document == (2 / 4 + 0 + 1) / 3
  assert rates.by_document_histogram == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
  assert rates.by_generator == {"a": 2 / 3, "b": 2 / 4}
  assert rates.by_grade == {0: 2 / 3, 2: 2 / 3}
  assert (rates.documents, rates.with_queries, rates.left_without) == (6, 3, 1)


def test_the_best_of_a_document_did_not_find_it():
  rates = counted(Rule(k=2, keep_best=True), GROUPS)
  assert (rates.kept, rates.left_without) == (5, 0)
  assert rates.keep_rate == 4 / 7
  assert rates.verdicts == {"best": 1, "kept": 4, "missed": 2}


def test_repeats_did():
  twice = [SyntheticQuery(docno="d", text="twice")] * 3
  rates = counted(Rule(k=1), [(twice, [1, 1, 1])], depth=1)
  assert (rates.kept, rates.keep_rate) == (1, 1.0)
  assert rates.verdicts == {"kept": 1, "same": 2}
  assert rates.found == {1: 3}


def test_without_a_search_all_are_found():
  rates = counted(Rule(k=None), GROUPS, depth=0)
  assert (rates.kept, rates.keep_rate, rates.found) == (7, 1.0, {})
