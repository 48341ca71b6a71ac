"""How long queries take: one by one, and many at a time."""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from genret.core.collection import Query
from genret.core.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
  """Which queries are timed, and how often.

  Attributes:
    queries: How many, evenly spread over those of a split; all where there
      are fewer.
    batch_size: Searched together when queries a second are counted.
    rounds: Times that the batch is searched; the median counts.
  """

  queries: int = 64
  batch_size: int = 64
  rounds: int = 3

  def __post_init__(self):
    if min(self.queries, self.batch_size, self.rounds) < 1:
      raise ConfigError(
        f"{self.queries} queries, batches of {self.batch_size}, {self.rounds}"
        " rounds; each must be 1 or more."
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latency:
  """What was measured, wall time.

  Attributes:
    queries: Timed one by one.
    p50_ms: Their median, in milliseconds.
    p95_ms: Of 95 % at most so much.
    batch_size: Queries of a batch.
    queries_per_second: Of such batches.
    load: Processes that wanted a core meanwhile, in the mean over a minute,
      this one among them; None where the system does not say.
  """

  queries: int
  p50_ms: float
  p95_ms: float
  batch_size: int
  queries_per_second: float
  load: float | None


def measure(
  search: Callable[[Sequence[Query]], Any],
  queries: Sequence[Query],
  timing: Timing,
) -> Latency:
  """Times a search, text in and ranked documents out.

  Everything is searched once beforehand, so that nothing is compiled while
  the clock runs.

  Args:
    search: Takes queries.
    queries: At least one.
    timing: Which of them, and how often.
  """
  chosen = evenly(queries, timing.queries)
  batch = [chosen[i % len(chosen)] for i in range(timing.batch_size)]
  for query in chosen:
    search([query])
  search(batch)
  alone = 1000 * np.array([_seconds(search, [query]) for query in chosen])
  together = [_seconds(search, batch) for _ in range(timing.rounds)]
  p50, p95 = np.quantile(alone, [0.5, 0.95])
  return Latency(
    queries=len(chosen),
    p50_ms=float(p50),
    p95_ms=float(p95),
    batch_size=len(batch),
    queries_per_second=len(batch) / float(np.median(together)),
    load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
  )


def evenly(items: Sequence[Any], count: int) -> list[Any]:
  """Takes so many items, evenly spread; all where there are fewer.

  >>> evenly("abcde", 3)
  ['a', 'c', 'e']
  """
  count = min(count, len(items))
  places = np.linspace(0, len(items) - 1, count).round().astype(int)
  return [items[place] for place in places.tolist()]


def _seconds(
  search: Callable[[Sequence[Query]], Any], queries: Sequence[Query]
) -> float:
  start = time.perf_counter()
  search(queries)
  return time.perf_counter() - start
