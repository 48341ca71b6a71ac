"""Decodes together what arrives together, on one thread.

Requests come from the event loop; one thread takes those that wait, as many
as are decoded soonest, and gives their answers back to the loop in one call.
While it decodes, the next ones gather, so a busy service needs no window;
an idle one waits a few milliseconds for others that come with the first.
"""

import asyncio
import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from genret.serving import faults

SMOOTHING = 0.2  # of the seconds that a query takes
PATIENCE = 0.8  # of the deadline that may be spent waiting

Work = Callable[[Hashable, Sequence[Any]], Sequence[Any]]


@dataclasses.dataclass(eq=False, kw_only=True)
class Ticket:
  """A request that waits: some items of one key.

  Attributes:
    key: Items of one key can be worked on together.
    items: What is to be worked on.
    due: When nobody waits for it any more, by `time.monotonic`.
    answer: The results, in the order of the items.
    dropped: Whether nobody waits for it already.
  """

  key: Hashable
  items: Sequence[Any]
  due: float
  answer: asyncio.Future
  dropped: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watch:
  """Functions that are told what happens, for metrics.

  Attributes:
    waiting: The items that wait now.
    worked: A batch was done: its items and its seconds.
  """

  waiting: Callable[[int], None] = lambda items: None
  worked: Callable[[int, float], None] = lambda items, seconds: None


class Batcher:
  """A bounded queue, and the thread that empties it in batches.

  Args:
    work: From a key and items to one result an item; runs on the thread.
    most: The most items that are worked on at once, by key; others are worked
      on one by one.
    capacity: Items that may wait.
    window: Seconds that an idle thread waits for more after the first.
    seconds: What one item of a key takes, where it is known.
    watch: Is told what happens.
  """

  def __init__(
    self,
    work: Work,
    *,
    most: Mapping[Hashable, int],
    capacity: int,
    window: float,
    seconds: Mapping[Hashable, float] | None = None,
    watch: Watch | None = None,
  ):
    self._work = work
    self._most = dict(most)
    self._capacity = capacity
    self._window = window
    self._seconds = dict(seconds or {})
    self._watch = watch or Watch()
    self._queue: collections.deque[Ticket] = collections.deque()
    self._waiting = 0
    self._busy_until = 0.0
    self._changed = threading.Condition()
    self._closed = False
    self._thread = threading.Thread(
      target=self._run, name="genret-decode", daemon=True
    )

  def start(self) -> "Batcher":
    """Starts the thread."""
    self._thread.start()
    return self

  def close(self, timeout: float | None = None) -> None:
    """Refuses what comes, works on what waits, and ends the thread."""
    with self._changed:
      self._closed = True
      self._changed.notify_all()
    self._thread.join(timeout)

  @property
  def waiting(self) -> int:
    """Items that wait, those being worked on not among them."""
    return self._waiting

  def submit(
    self, key: Hashable, items: Sequence[Any], *, deadline: float
  ) -> Ticket:
    """Puts items into the queue; call it from the event loop.

    Args:
      key: What they have in common with those worked on beside them.
      items: At least one.
      deadline: Seconds after which nobody waits for them.

    Raises:
      Fault: 429 where they do not fit, or could not be done in time; 503
        when the batcher is closed.
    """
    now = time.monotonic()
    ticket = Ticket(
      key=key,
      items=items,
      due=now + deadline,
      answer=asyncio.get_running_loop().create_future(),
    )
    with self._changed:
      if self._closed:
        raise faults.stopping()
      ahead = self._ahead(now)
      own = self._seconds.get(key, 0.0) * len(items)
      over = self._waiting + len(items) > self._capacity
      # What comes to an empty queue is always tried.
      if over or (self._queue and ahead + own > PATIENCE * deadline):
        raise faults.full(ahead)
      self._queue.append(ticket)
      self._count(len(items))
      self._changed.notify()
    return ticket

  def drop(self, ticket: Ticket) -> None:
    """Takes back a ticket; what is being worked on is finished anyway."""
    with self._changed:
      ticket.dropped = True
      if ticket in self._queue:
        self._queue.remove(ticket)
        self._count(-len(ticket.items))

  def _ahead(self, now: float) -> float:
    """Returns the seconds after which what waits now will be done."""
    waiting = sum(
      self._seconds.get(ticket.key, 0.0) * len(ticket.items)
      for ticket in self._queue
    )
    return waiting + max(0.0, self._busy_until - now)

  def _count(self, change: int) -> None:
    self._waiting += change
    self._watch.waiting(self._waiting)

  def _run(self) -> None:
    while True:
      with self._changed:
        idle = not self._queue
        while not self._queue and not self._closed:
          self._changed.wait()
        if not self._queue:
          return
        if idle:  # else they have waited while the last batch was decoded
          self._gather()
        batch = self._take()
      if batch:
        self._do(batch)

  def _gather(self) -> None:
    """Waits for what arrives with the first."""
    until = time.monotonic() + self._window
    while self._queue and not self._closed:
      first = self._queue[0].key
      left = until - time.monotonic()
      if left <= 0 or self._waiting >= self._most.get(first, 1):
        return
      self._changed.wait(left)

  def _take(self) -> list[Ticket]:
    """Takes the first ticket and those of its key that fit beside it."""
    now = time.monotonic()
    taken: list[Ticket] = []
    kept: collections.deque[Ticket] = collections.deque()
    items = 0
    for ticket in self._queue:
      if ticket.due <= now:
        self._count(-len(ticket.items))
        continue
      key = taken[0].key if taken else ticket.key
      fits = items + len(ticket.items) <= self._most.get(key, 1)
      if not taken or (ticket.key == key and fits):
        taken.append(ticket)
        items += len(ticket.items)
      else:
        kept.append(ticket)
    self._queue = kept
    self._count(-items)
    expected = self._seconds.get(taken[0].key, 0.0) * items if taken else 0.0
    self._busy_until = now + expected
    return taken

  def _do(self, batch: Sequence[Ticket]) -> None:
    key = batch[0].key
    items = [item for ticket in batch for item in ticket.items]
    started = time.monotonic()
    try:
      found: Sequence[Any] | Exception = self._worked(key, items)
    except Exception as error:
      found = error
    seconds = time.monotonic() - started
    self._learn(key, seconds / len(items))
    self._watch.worked(len(items), seconds)
    loop = batch[0].answer.get_loop()
    if not loop.is_closed():
      loop.call_soon_threadsafe(_deliver, batch, found)

  def _worked(self, key: Hashable, items: Sequence[Any]) -> list[Any]:
    """Works on the items of a batch; a single request may have too many."""
    most = self._most.get(key, 1)
    return [
      result
      for start in range(0, len(items), most)
      for result in self._work(key, items[start : start + most])
    ]

  def _learn(self, key: Hashable, seconds: float) -> None:
    with self._changed:
      before = self._seconds.get(key, seconds)
      self._seconds[key] = before + SMOOTHING * (seconds - before)


def _deliver(batch: Sequence[Ticket], found: Sequence[Any] | Exception) -> None:
  start = 0
  for ticket in batch:
    end = start + len(ticket.items)
    if ticket.answer.done():
      pass
    elif isinstance(found, Exception):
      ticket.answer.set_exception(found)
    else:
      ticket.answer.set_result(found[start:end])
    start = end
