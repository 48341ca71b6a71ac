"""Clients of a service: so many that each ask again, or so many a second."""

import asyncio
import dataclasses
import itertools
import json
import time
from collections.abc import Iterator, Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
  """What one request came to.

  Attributes:
    status: Of HTTP; 0 where the connection broke.
    seconds: From sending to the last byte.
  """

  status: int
  seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Load:
  """What some clients found.

  Attributes:
    answers: Of all requests.
    seconds: From the first request to the last answer.
  """

  answers: Sequence[Answer]
  seconds: float

  def of(self, *statuses: int) -> list[float]:
    """Returns the seconds of answers of these statuses, ascending."""
    return sorted(a.seconds for a in self.answers if a.status in statuses)

  @property
  def rate(self) -> float:
    """Answers of 200 a second."""
    return len(self.of(200)) / self.seconds


def percentile(ascending: Sequence[float], share: float) -> float:
  """Returns the value below which a share of the values lies."""
  if not ascending:
    return float("nan")
  return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


class Connection:
  """A connection that is kept open between requests."""

  def __init__(self, port: int):
    self._port = port
    self._streams = None

  async def ask(self, query: str) -> Answer:
    """Sends one query and reads its answer."""
    started = time.perf_counter()
    try:
      if self._streams is None:
        self._streams = await asyncio.open_connection("127.0.0.1", self._port)
      status = await self._asked(query)
    except (OSError, asyncio.IncompleteReadError):
      self.close()
      status = 0
    return Answer(status=status, seconds=time.perf_counter() - started)

  async def _asked(self, query: str) -> int:
    reader, writer = self._streams
    body = json.dumps({"query": query, "k": 10}).encode()
    writer.write(
      b"POST /search HTTP/1.1\r\nhost: localhost\r\n"
      b"content-type: application/json\r\n"
      b"content-length: %d\r\n\r\n%s" % (len(body), body)
    )
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(
      line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2]
    )
    await reader.readexactly(int(fields[b"content-length"]))
    return int(head.split(b" ", 2)[1])

  def close(self) -> None:
    """Hangs up."""
    if self._streams is not None:
      self._streams[1].close()
      self._streams = None


async def closed_loop(
  port: int, queries: Sequence[str], *, clients: int, seconds: float
) -> Load:
  """Lets each client ask as soon as it has its answer."""
  asked = itertools.cycle(queries)
  started = time.perf_counter()
  answers: list[Answer] = []

  async def client() -> None:
    connection = Connection(port)
    while time.perf_counter() - started < seconds:
      answers.append(await connection.ask(next(asked)))
    connection.close()

  await asyncio.gather(*(client() for _ in range(clients)))
  return Load(answers=answers, seconds=time.perf_counter() - started)


async def open_loop(
  port: int, queries: Sequence[str], *, rate: float, seconds: float
) -> Load:
  """Asks at a rate, whatever comes back, over at most 400 connections."""
  asked: Iterator[str] = itertools.cycle(queries)
  free = [Connection(port) for _ in range(400)]
  answers: list[Answer] = []
  tasks = set()

  async def one(connection: Connection) -> None:
    answers.append(await connection.ask(next(asked)))
    free.append(connection)

  started = time.perf_counter()
  sent = 0
  while (now := time.perf_counter() - started) < seconds:
    while sent < now * rate and free:
      tasks.add(asyncio.create_task(one(free.pop())))
      sent += 1
    await asyncio.sleep(0.002)
  await asyncio.gather(*tasks)
  for connection in free:
    connection.close()
  return Load(answers=answers, seconds=time.perf_counter() - started)
