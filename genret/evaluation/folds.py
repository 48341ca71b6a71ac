"""Folds that extrapolate and folds that interpolate (arXiv 2204.11447).

Queries lie in clusters. A fold is tested on one of them. To extrapolate, the
model is trained on the queries of the others; to interpolate, on as many drawn
from all. Both answer the same test queries, so that their difference is what
it costs to be asked what is unlike anything in training.
"""

from collections.abc import Mapping
from typing import Literal

from genret.core.collection import Qrels
from genret.core.errors import ConfigError
from genret.evaluation.coverage import by_hash

By = Literal["cluster", "random"]

TEST = "test"


def fold(
  splits: Mapping[str, Qrels],
  clusters: Mapping[str, int],
  *,
  number: int,
  by: By,
  seed: int = 0,
) -> dict[str, dict[str, Mapping[str, int]]]:
  """Returns the judgements of a fold.

  >>> splits = {"train": {"a": {"d": 1}, "b": {"e": 1}, "c": {"f": 1}},
  ...           "test": {"x": {"d": 1}, "y": {"e": 1}}}
  >>> clusters = {"a": 0, "b": 0, "c": 1, "x": 0, "y": 1}
  >>> found = fold(splits, clusters, number=1, by="cluster")
  >>> list(found["train"]), list(found["test"])
  (['a', 'b'], ['y'])
  >>> list(fold(splits, clusters, number=1, by="random", seed=1)["train"])
  ['b', 'c']

  Args:
    splits: split -> query id -> docno -> grade.
    clusters: query id -> its cluster.
    number: the cluster whose test queries are asked.
    by: "cluster" trains on, and looks at dev in, the other clusters; "random"
      takes as many queries of all.
    seed: of what "random" draws.

  Raises:
    ConfigError: a split would be without queries.
  """
  found = {}
  for split, qrels in splits.items():
    inside = {query for query in qrels if clusters[query] == number}
    kept = inside
    if split != TEST:
      kept = qrels.keys() - inside
      if by == "random":
        kept = set(by_hash(qrels, seed=seed)[: len(kept)])
    if qrels and not kept:
      raise ConfigError(
        f"Fold {number + 1} would have no {split} query: {len(inside):,} of"
        f" {len(qrels):,} lie in its cluster. Ask for fewer folds, or draw"
        " clusters by another seed."
      )
    found[split] = {q: judged for q, judged in qrels.items() if q in kept}
  return found
