"""Connections of clients: so many, and none that is slow to say what it wants.

uvicorn waits for the head of a request as long as the client likes, and holds
as many connections as there are files. Its protocol is a class that may be
given, so both bounds are added to it here.
"""

import asyncio
import functools
from typing import Any

from genret.serving.faults import Fault
from genret.serving.limits import Limits

HEAD_BYTES = 64 << 10

try:
  from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Http
except ImportError:  # httptools is not installed: slower, and the same
  from uvicorn.protocols.http.h11_impl import H11Protocol as _Http


def protocol(limits: Limits) -> type[asyncio.Protocol]:
  """Returns uvicorn's protocol with our limits."""
  return type("Connection", (Connection,), {"limits": limits})


class Connection(_Http):
  """One connection.

  Attributes:
    limits: Of the service; set by `protocol`.
  """

  limits: Limits

  def __init__(self, *args: Any, **kwargs: Any):
    super().__init__(*args, **kwargs)
    self._refused = False
    self._head_bytes = 0
    self._timer: asyncio.TimerHandle | None = None

  def connection_made(self, transport: asyncio.Transport) -> None:
    """Refuses one connection too many; of others, waits for a head."""
    super().connection_made(transport)
    if len(self.connections) > self.limits.connections:
      self._refused = True
      transport.write(_refusal(self.limits.connections))
      transport.close()
    else:
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
    """Forgets the timer."""
    self._stop_waiting()
    super().connection_lost(exc)

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

  def _too_slow(self) -> None:
    self._timer = None
    if not self._in_request and not self.transport.is_closing():
      self.transport.close()


@functools.cache
def _refusal(connections: int) -> bytes:
  body = Fault(503, f"{connections:,} connections are open; try later").body
  return (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
    b"retry-after: 1\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(body), body)
  )
