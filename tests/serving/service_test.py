import asyncio
import threading
import time

import pytest

from genret.serving.faults import Fault
from genret.serving.limits import Limits
from genret.serving.service import HungUp, Service

BODY = {"query": "a river"}


SECONDS = {1: 0.1, 8: 0.2}


class Held:
  """An index whose searches wait until they are let go."""

  scheme = "held"
  num_documents = 1
  bm25 = None

  def __init__(self):
    self.asked = []
    self.begun, self.go_on = threading.Event(), threading.Event()

  def search(self, queries, *, k, num_beams):
    self.asked.append((tuple(queries), k, num_beams))
    self.begun.set()
    assert self.go_on.wait(20)
    return [[{"docno": query} for _ in range(k)] for query in queries]


@pytest.fixture
def held():
  return Held()


@pytest.fixture
def make(held):
  made = []

  def make(seconds=None, **limits):
    service = Service(
      held,
      limits=Limits(**limits),
      beams=(2, 4),
      num_beams=4,
      window=0,
      seconds=seconds,
    )
    service.batcher.start()
    made.append(service)
    return service

  yield make
  held.go_on.set()
  for service in made:
    service.batcher.close(20)


async def never():
  await asyncio.Event().wait()


async def busy(service, held):
  first = asyncio.create_task(service.search(BODY, never))
  await asyncio.to_thread(held.begun.wait, 20)
  return first


def test_requests_that_wait_are_searched_together(make, held):
  service = make(seconds={("search", 2): SECONDS, ("search", 4): SECONDS})

  async def run():
    first = await busy(service, held)
    asked = [
      {"query": "one", "k": 1},
      {"queries": ["two", "three"], "k": 3},
      {"query": "four", "num_beams": 2},
    ]
    tasks = [asyncio.create_task(service.search(a, never)) for a in asked]
    await asyncio.sleep(0.05)
    held.go_on.set()
    return await asyncio.gather(first, *tasks)

  _, one, two, four = asyncio.run(run())
  # Together they are asked for the most documents that any wants.
  assert held.asked[1:] == [
    (("one", "two", "three"), 3, 4),
    (("four",), 10, 2),
  ]
  assert [len(result["hits"]) for result in one["results"]] == [1]
  assert [result["query"] for result in two["results"]] == ["two", "three"]
  assert two["results"][1]["hits"] == [{"docno": "three"}] * 3
  assert four["num_beams"] == 2 and four["milliseconds"] > 0


def test_more_queries_than_a_batch_holds_are_searched_in_several(make, held):
  service = make(seconds={("search", 4): {1: 0.1, 2: 0.1}})
  held.go_on.set()
  asked = {"queries": ["one", "two", "three"], "k": 1}
  found = asyncio.run(service.search(asked, never))
  assert [queries for queries, *_ in held.asked] == [("one", "two"), ("three",)]
  hits = [result["hits"] for result in found["results"]]
  assert hits == [[{"docno": query}] for query in asked["queries"]]


def test_explanations_that_would_take_too_long_are_refused(make, held):
  service = make(seconds={("explain", 4): {1: 3.0}}, deadline_seconds=10.0)

  async def run():
    first = await busy(service, held)
    # Whatever else they ask for, the third would be done after nine seconds.
    tasks = [
      asyncio.create_task(service.explain(BODY | {"dropped": n}, never))
      for n in (1, 2)
    ]
    await asyncio.sleep(0.05)
    with pytest.raises(Fault) as fault:
      await service.explain(BODY | {"dropped": 3}, never)
    for task in tasks:
      task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    held.go_on.set()
    await first
    return fault.value

  fault = asyncio.run(run())
  assert fault.status == 429 and fault.headers == {"retry-after": "6"}


def test_a_deadline_is_kept(make, held):
  service = make(deadline_seconds=0.1)

  async def run():
    started = time.monotonic()
    with pytest.raises(Fault) as fault:
      await service.search(BODY, never)
    assert fault.value.status == 504
    return time.monotonic() - started

  assert 0.1 <= asyncio.run(run()) < 2
  assert 'genret_given_up_total{why="late"} 1.0' in (
    service.metrics.text().decode()
  )


def test_nobody_searches_for_a_client_that_hung_up(make, held):
  service = make()

  async def hang_up():
    await asyncio.sleep(0.05)

  async def run():
    first = await busy(service, held)
    with pytest.raises(HungUp):
      await service.search({"query": "gone"}, hang_up)
    assert service.batcher.waiting == 0
    held.go_on.set()
    await first

  asyncio.run(run())
  assert [queries for queries, *_ in held.asked] == [("a river",)]


def test_a_full_service_says_so_at_once(make, held):
  service = make(waiting=2, queries=2)

  async def run():
    tasks = [await busy(service, held)]
    tasks.append(
      asyncio.create_task(service.search({"queries": ["a", "b"]}, never))
    )
    await asyncio.sleep(0)
    started = time.monotonic()
    with pytest.raises(Fault) as fault:
      await service.search(BODY, never)
    assert time.monotonic() - started < 0.05
    assert fault.value.status == 429 and "retry-after" in fault.value.headers
    held.go_on.set()
    return await asyncio.gather(*tasks)

  assert len(asyncio.run(run())) == 2


def test_bm25_is_asked_only_where_it_is(make):
  service = make()
  with pytest.raises(Fault, match="no BM25") as fault:
    asyncio.run(service.search({"query": "a", "system": "bm25"}, never))
  assert fault.value.status == 422


def test_health_has_what_the_page_needs(make):
  assert make(k=50, query_characters=9).health() == {
    "status": "ok",
    "version": "0.1.0",
    "scheme": "held",
    "documents": 1,
    "max_k": 50,
    "num_beams": [2, 4],
    "default_num_beams": 4,
    "max_query_characters": 9,
    "bm25": False,
  }
