"""Queries timed by a search that takes as long as it is told."""

import time

import pytest

from genret.core.collection import Query
from genret.core.errors import ConfigError
from genret.stages import latency
from genret.stages.latency import Timing

QUERIES = [Query(query_id=str(i), text=f"{i}") for i in range(9)]


def test_queries_are_timed_alone_and_together():
  asked = []

  def search(queries):
    asked.append([int(query.query_id) for query in queries])
    time.sleep(0.004 * len(queries))

  found = latency.measure(search, QUERIES, Timing(queries=3, batch_size=5))
  alone = [[0], [4], [8]]
  together = [0, 4, 8, 0, 4]
  # All of it once before the clock runs.
  assert asked == [*alone, together, *alone, *3 * [together]]
  assert found.queries == 3 and found.batch_size == 5
  assert 4 <= found.p50_ms <= found.p95_ms
  assert 0 < found.queries_per_second <= 250


def test_fewer_queries_than_wanted_are_all_timed():
  found = latency.measure(lambda queries: None, QUERIES[:2], Timing(rounds=1))
  assert found.queries == 2


@pytest.mark.parametrize("wrong", ["queries", "batch_size", "rounds"])
def test_nothing_cannot_be_timed(wrong):
  with pytest.raises(ConfigError, match="each must be 1 or more"):
    Timing(**{wrong: 0})
