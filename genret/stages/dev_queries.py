"""How a state is judged while training goes on: by searching dev queries."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from genret.core.collection import Collection
from genret.core.errors import ConfigError, UserError
from genret.evaluation import measures
from genret.evaluation.selection import refuse_test


@dataclasses.dataclass(frozen=True, kw_only=True)
class DevConfig:
  """How a state is judged while training goes on: by real retrieval.

  Attributes:
    split: Whose queries are searched; never `test`.
    measure: Chooses the best checkpoint; larger is better.
    num_queries: At most so many queries, evenly spread; None for all.
    num_beams: Docids kept a step.
  """

  split: str = "dev"
  measure: str = "RR@10"
  num_queries: int | None = None
  num_beams: int = 10

  def __post_init__(self):
    try:
      refuse_test(self.split)
    except UserError as error:
      raise ConfigError(
        f"DevConfig.split is {self.split!r}; a model is never selected on test"
        " queries."
      ) from error


def checked(dev: DevConfig | None, collection: Collection) -> DevConfig | None:
  """Returns how states are judged, once it is sure that they can be.

  Raises:
    ConfigError: If the collection has no such split.
  """
  if dev and dev.split not in collection.splits:
    raise ConfigError(
      f"Collection {collection.name!r} has no split {dev.split!r} to choose the"
      " best checkpoint on: prepare it with a dev share, or set TrainConfig.dev"
      " to None to keep the newest."
    )
  return dev


def evaluation(
  dev: DevConfig | None,
  collection: Collection,
  make_retriever: Callable[[], Any],
) -> Callable[[Any, int], Mapping[str, float]]:
  """Returns the function that judges parameters on dev queries.

  Args:
    dev: How; None for a function that measures nothing.
    collection: Whose queries and judgements.
    make_retriever: Called once, if there is something to judge; returns a
      `Retriever`, or what takes parameters and queries as it does.

  Returns:
    From parameters and step to measures.
  """
  if dev is None:
    return lambda params, step: {}
  qrels = collection.qrels(dev.split)
  queries = list(collection.asked(qrels))
  if dev.num_queries is not None and dev.num_queries < len(queries):
    kept = np.linspace(0, len(queries) - 1, dev.num_queries).astype(int)
    queries = [queries[i] for i in kept]
    qrels = {query.query_id: qrels[query.query_id] for query in queries}
  retriever = make_retriever()
  names = tuple(dict.fromkeys((dev.measure, "RR@10", "R@1", "R@10")))

  def evaluate(params: Any, step: int) -> Mapping[str, float]:
    del step
    run = retriever.with_params(params).run(
      queries, k=10, num_beams=dev.num_beams
    )
    return measures.evaluate(run, qrels, measures=names).means

  return evaluate
