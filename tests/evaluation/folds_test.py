"""Folds of queries."""

import pytest

from genret.core.errors import ConfigError
from genret.evaluation import folds

SPLITS = {
  "train": {f"a{i}": {"d": 1} for i in range(40)},
  "dev": {f"v{i}": {"d": 1} for i in range(10)},
  "test": {f"t{i}": {"d": 1} for i in range(12)},
}
CLUSTERS = {q: int(q[1:]) % 4 for qrels in SPLITS.values() for q in qrels}


@pytest.mark.parametrize("number", range(4))
def test_both_ask_the_same_of_as_much_training(number):
  far = folds.fold(SPLITS, CLUSTERS, number=number, by="cluster")
  near = folds.fold(SPLITS, CLUSTERS, number=number, by="random")
  assert far["test"] == near["test"]
  assert {CLUSTERS[query] for query in far["test"]} == {number}
  for split in ("train", "dev"):
    assert number not in {CLUSTERS[query] for query in far[split]}
    assert len(near[split]) == len(far[split])
    assert list(near[split]) == [q for q in SPLITS[split] if q in near[split]]
  assert {CLUSTERS[query] for query in near["train"]} == {0, 1, 2, 3}


def test_every_test_query_is_asked_in_one_fold():
  asked = [
    query
    for number in range(4)
    for query in folds.fold(SPLITS, CLUSTERS, number=number, by="cluster")[
      "test"
    ]
  ]
  assert sorted(asked) == sorted(SPLITS["test"])


def test_a_fold_without_queries_is_refused():
  with pytest.raises(ConfigError, match="Fold 6 would have no test query"):
    folds.fold(SPLITS, CLUSTERS, number=5, by="cluster")
  alone = dict.fromkeys(CLUSTERS, 0)
  with pytest.raises(ConfigError, match="no train query: 40 of 40 lie"):
    folds.fold(SPLITS, alone, number=0, by="cluster")
