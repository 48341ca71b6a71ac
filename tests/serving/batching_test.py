import asyncio
import threading
import time

import pytest

from genret.serving.batching import Batcher, Watch
from genret.serving.faults import Fault


class Work:
  """Doubles items, notes its batches, and can be held up."""

  def __init__(self):
    self.batches = []
    self.begun = threading.Event()
    self.go_on = threading.Event()
    self.go_on.set()

  def __call__(self, key, items):
    self.batches.append((key, list(items)))
    self.begun.set()
    assert self.go_on.wait(20)
    if "bad" in items:
      raise ValueError("a fault")
    return [item * 2 for item in items]


@pytest.fixture
def work():
  return Work()


@pytest.fixture
def make(work):
  made = []

  def make(**settings):
    settings = {"most": {"a": 4, "b": 4}, "capacity": 8, "window": 0} | settings
    made.append(Batcher(work, **settings).start())
    return made[-1]

  yield make
  work.go_on.set()
  for batcher in made:
    batcher.close(20)


async def busy(batcher, work):
  """Returns the ticket that occupies the thread, which is held up."""
  work.go_on.clear()
  ticket = batcher.submit("a", ["first"], deadline=20)
  await asyncio.to_thread(work.begun.wait, 20)
  return ticket


def test_what_waits_is_worked_on_together_by_key(make, work):
  batcher = make()

  async def run():
    tickets = [await busy(batcher, work)]
    for key, items in [("a", "1"), ("b", "23"), ("a", "456"), ("a", "7")]:
      tickets.append(batcher.submit(key, list(items), deadline=20))
    work.go_on.set()
    return await asyncio.gather(*(t.answer for t in tickets))

  found = asyncio.run(run())
  assert found == [
    ["firstfirst"],
    ["11"],
    ["22", "33"],
    ["44", "55", "66"],
    ["77"],
  ]
  # The first of a batch is the one that waited longest; no batch is over 4.
  assert work.batches[1:] == [
    ("a", ["1", "4", "5", "6"]),
    ("b", ["2", "3"]),
    ("a", ["7"]),
  ]


def test_an_idle_thread_waits_a_moment_for_more(make, work):
  batcher = make(window=5.0)

  async def run():
    tickets = [batcher.submit("a", ["1"], deadline=20)]
    await asyncio.sleep(0.05)
    tickets += [batcher.submit("a", [i], deadline=20) for i in "234"]
    return await asyncio.gather(*(t.answer for t in tickets))

  started = time.monotonic()
  asyncio.run(run())
  assert work.batches == [("a", ["1", "2", "3", "4"])]
  assert time.monotonic() - started < 4  # a full batch does not wait


def test_a_full_queue_refuses_and_says_for_how_long(make, work):
  batcher = make(seconds={"a": 0.5})

  async def run():
    first = await busy(batcher, work)
    waiting = [batcher.submit("a", list("1234"), deadline=90) for _ in "12"]
    assert batcher.waiting == 8
    with pytest.raises(Fault) as refused:
      batcher.submit("a", ["x"], deadline=90)
    assert refused.value.status == 429
    assert refused.value.headers == {"retry-after": "5"}
    work.go_on.set()
    await asyncio.gather(first.answer, *(t.answer for t in waiting))
    return await batcher.submit("a", ["x"], deadline=90).answer

  assert asyncio.run(run()) == ["xx"]
  assert batcher.waiting == 0


def test_what_could_not_be_done_in_time_is_refused_at_once(make, work):
  batcher = make(seconds={"a": 1.0})

  async def run():
    await busy(batcher, work)
    batcher.submit("a", ["1", "2"], deadline=4)
    with pytest.raises(Fault) as refused:
      batcher.submit("a", ["3"], deadline=4)
    assert refused.value.status == 429
    work.go_on.set()

  asyncio.run(run())


def test_dropped_work_is_never_begun(make, work):
  batcher = make()

  async def run():
    first = await busy(batcher, work)
    gone = batcher.submit("a", ["gone"], deadline=20)
    late = batcher.submit("a", ["late"], deadline=0)
    kept = batcher.submit("a", ["kept"], deadline=20)
    batcher.drop(gone)
    batcher.drop(gone)
    assert batcher.waiting == 2
    work.go_on.set()
    await asyncio.gather(first.answer, kept.answer)
    assert not late.answer.done()

  asyncio.run(run())
  assert work.batches[1:] == [("a", ["kept"])]
  assert batcher.waiting == 0


def test_a_fault_of_one_batch_is_told_to_its_requests_only(make, work):
  batcher = make()

  async def run():
    with pytest.raises(ValueError, match="a fault"):
      await batcher.submit("a", ["bad"], deadline=20).answer
    return await batcher.submit("a", ["good"], deadline=20).answer

  assert asyncio.run(run()) == ["goodgood"]


def test_closing_finishes_what_waits_and_refuses_more(make, work):
  batcher = make()

  async def run():
    tickets = [await busy(batcher, work)]
    tickets += [batcher.submit("b", ["1"], deadline=20)]
    closing = asyncio.create_task(asyncio.to_thread(batcher.close, 20))
    await asyncio.sleep(0.05)
    with pytest.raises(Fault) as refused:
      batcher.submit("a", ["2"], deadline=20)
    assert refused.value.status == 503
    work.go_on.set()
    await closing
    return await asyncio.gather(*(t.answer for t in tickets))

  assert asyncio.run(run()) == [["firstfirst"], ["11"]]


def test_its_watch_is_told(make, work):
  waiting, worked = [], []
  batcher = make(
    watch=Watch(
      waiting=waiting.append,
      worked=lambda items, seconds: worked.append(items),
    )
  )

  async def run():
    await batcher.submit("a", ["1", "2"], deadline=20).answer

  asyncio.run(run())
  assert waiting == [2, 0] and worked == [2]
