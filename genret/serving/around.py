"""What goes around every answer: whom it is for, its headers, its count."""

import ipaddress
import re
import time
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genret.serving import bodies
from genret.serving.faults import Fault
from genret.serving.metrics import Metrics

ROUTE = "genret.route"
OTHER = "other"  # addresses that are no route have one name in metrics
_PORT = re.compile(r":\d*$")  # of a Host header
HEADERS = {
  "content-security-policy": "default-src 'self'; base-uri 'none';"
  " form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
}


class Around:
  """Adds headers to answers and counts them.

  Args:
    app: What answers. It names its route in the scope.
    metrics: Where answers are counted.
    seconds: In which the rest of a body must arrive that is refused.
    hosts: Names, besides localhost, by which requests may ask; None for any.
  """

  def __init__(
    self,
    app: ASGIApp,
    *,
    metrics: Metrics,
    seconds: float,
    hosts: Collection[str] | None = None,
  ):
    self._app = app
    self._metrics = metrics
    self._seconds = seconds
    self._hosts = hosts

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request."""
    if scope["type"] != "http":
      await self._app(scope, receive, send)
      return
    started = time.monotonic()
    body = bodies.Watched(receive)
    status = 0

    async def sending(message: Message) -> None:
      nonlocal status
      if message["type"] == "http.response.start":
        status = message["status"]
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
          headers.setdefault(name, value)
        if status >= 400 and not await self._is_read(body, status):
          headers["connection"] = "close"
      await send(message)

    try:
      await self._chosen(scope)(scope, body.receive, sending)
    finally:
      seconds = time.monotonic() - started
      self._metrics.answered(scope.get(ROUTE, OTHER), status, seconds)

  async def _is_read(self, body: bodies.Watched, status: int) -> bool:
    """Lets a client that is refused send all that it has to."""
    if status == bodies.SLOW:  # it has had its time
      return False
    return await body.drained(self._seconds)

  def _chosen(self, scope: Scope) -> ASGIApp:
    """Returns what answers: the application, unless it is asked as another."""
    host = Headers(scope=scope).get("host", "")
    if self._hosts is None or is_ours(host, self._hosts):
      return self._app
    return told(
      Fault(
        421,
        f"this service is not {host[:80]!r}; --gin.HOSTS=('NAME',) adds a name",
      )
    )


def told(fault: Fault) -> Response:
  """Returns what a client is told in place of an answer."""
  return Response(
    fault.body,
    status_code=fault.status,
    headers=fault.headers,
    media_type="application/json",
  )


def is_ours(host: str, names: Collection[str]) -> bool:
  """Says whether a Host header can only mean this machine, or one of names.

  >>> is_ours("127.0.0.1:8080", ()), is_ours("[::1]:80", ())
  (True, True)
  >>> is_ours("evil.example:8080", ()), is_ours("lab.example", ["lab.example"])
  (False, True)
  """
  name = _PORT.sub("", host).lower()
  if name in ("", "localhost", *names):
    return True
  try:
    ipaddress.ip_address(name.strip("[]"))
  except ValueError:
    return False
  return True
