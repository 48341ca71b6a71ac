"""What goes around every answer: headers, and the count of it."""

import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genret.serving.metrics import Metrics

ROUTE = "genret.route"
OTHER = "other"  # addresses that are no route have one name in metrics
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
  """

  def __init__(self, app: ASGIApp, *, metrics: Metrics):
    self._app = app
    self._metrics = metrics

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request."""
    if scope["type"] != "http":
      await self._app(scope, receive, send)
      return
    started = time.monotonic()
    status = 0

    async def sending(message: Message) -> None:
      nonlocal status
      if message["type"] == "http.response.start":
        status = message["status"]
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
          headers.setdefault(name, value)
      await send(message)

    try:
      await self._app(scope, receive, sending)
    finally:
      seconds = time.monotonic() - started
      self._metrics.answered(scope.get(ROUTE, OTHER), status, seconds)
