"""Connections of clients: so many, and none that is slow to speak or to listen.

uvicorn waits for the head of a request, and for its answer to be read, as long
as the client likes, and holds as many connections as there are files. Its
protocol is a class that may be given, so these bounds are added to it here.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from genret.serving import faults
from genret.serving.faults import Fault
from genret.serving.limits import Limits

HEAD_BYTES = 64 << 10

try:
  from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Http
except ImportError:  # httptools is not installed: slower, and the same
  from uvicorn.protocols.http.h11_impl import H11Protocol as _Http


def protocol(
  limits: Limits, stopping: Callable[[], bool] = lambda: False
) -> type[asyncio.Protocol]:
  """Returns uvicorn's protocol with our limits.

  Args:
    limits: Of connections.
    stopping: Says whether no more of them are wanted.
  """
  own = {"limits": limits, "stopping": staticmethod(stopping)}
  return type("Connection", (Connection,), own)


class Connection(_Http):
  """One connection.

  Attributes:
    limits: Of the service; set by `protocol`.
    stopping: Says whether the service is.
  """

  limits: Limits
  stopping: Callable[[], bool]

  def __init__(self, *args: Any, **kwargs: Any):
    super().__init__(*args, **kwargs)
    self._refused = False
    self._head_bytes = 0
    self._timer: asyncio.TimerHandle | None = None
    self._unread: asyncio.TimerHandle | None = None

  def connection_made(self, transport: asyncio.Transport) -> None:
    """Refuses one connection too many; of others, waits for a head."""
    super().connection_made(transport)
    if self.stopping():  # uvicorn has told all others, and waits for them
      self._refused = True
      self._refuse(faults.stopping())
    elif len(self.connections) > self.limits.connections:
      self._refused = True
      self._refuse(_full(self.limits.connections))
    else:
      transport.set_write_buffer_limits(high=0)  # whatever is not yet taken
      self._await_head()

  def data_received(self, data: bytes) -> None:
    """Reads on; closes the connection where a head is too long."""
    if self._refused:
      return
    super().data_received(data)
    if self._in_request:
      self._head_bytes = 0
      self._stop_waiting()
      return
    self._head_bytes += len(data)
    if self._head_bytes > HEAD_BYTES:
      self.transport.close()
    elif self._timer is None:
      self._await_head()

  def connection_lost(self, exc: Exception | None) -> None:
    """Forgets the timers."""
    self._stop_waiting()
    self._stop_watching()
    super().connection_lost(exc)

  def pause_writing(self) -> None:
    """Drops a client that does not go on reading."""
    super().pause_writing()
    self._unread = self.loop.call_later(
      self.limits.reading_seconds, self.transport.abort
    )

  def resume_writing(self) -> None:
    """All that was sent is taken."""
    self._stop_watching()
    super().resume_writing()

  def send_400_response(self, msg: str) -> None:
    """Answers what is no HTTP as everything else that is refused."""
    self._refuse(Fault(400, msg))

  def _refuse(self, fault: Fault) -> None:
    self.transport.write(_last_words(fault))
    self.transport.close()

  @property
  def _in_request(self) -> bool:
    """Whether a head is read, and its answer not yet given."""
    return self.cycle is not None and not self.cycle.response_complete

  def _await_head(self) -> None:
    self._timer = self.loop.call_later(
      self.limits.header_seconds, self._too_slow
    )

  def _stop_waiting(self) -> None:
    if self._timer is not None:
      self._timer.cancel()
      self._timer = None

  def _stop_watching(self) -> None:
    if self._unread is not None:
      self._unread.cancel()
      self._unread = None

  def _too_slow(self) -> None:
    self._timer = None
    if not self._in_request and not self.transport.is_closing():
      self.transport.close()


def _full(connections: int) -> Fault:
  return Fault(
    503,
    f"{connections:,} connections are open; try later",
    headers={"retry-after": "1"},
  )


def _last_words(fault: Fault) -> bytes:
  """Returns an answer as it is sent, after which the connection ends."""
  headers = {
    "content-type": "application/json",
    "content-length": str(len(fault.body)),
    "connection": "close",
    **fault.headers,
  }
  lines = [f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}"]
  lines += [f"{name}: {value}" for name, value in headers.items()]
  return "\r\n".join([*lines, "", ""]).encode("ascii") + fault.body
