import asyncio

import pytest

from genret.serving.around import HEADERS, OTHER, ROUTE, Around
from genret.serving.metrics import Metrics


def called(app, kind="http"):
  sent = []

  async def send(message):
    sent.append(message)

  metrics = Metrics()
  around = Around(app, metrics=metrics)
  asyncio.run(around({"type": kind}, None, send))
  return sent, metrics.text().decode()


def answering(status, route=None, headers=()):
  async def app(scope, receive, send):
    if route is not None:
      scope[ROUTE] = route
    await send(
      {
        "type": "http.response.start",
        "status": status,
        "headers": list(headers),
      }
    )

  return app


def test_headers_are_added_where_there_are_none():
  own = (b"referrer-policy", b"origin")
  [start], _ = called(answering(200, headers=[own]))
  names = [name.decode() for name, _ in start["headers"]]
  assert sorted(names) == sorted(HEADERS)
  assert own in start["headers"]


def test_answers_are_counted_by_route():
  _, text = called(answering(200, route="/a/{b}"))
  assert 'genret_requests_total{route="/a/{b}",status="200"} 1.0' in text
  _, text = called(answering(404))
  assert f'genret_requests_total{{route="{OTHER}",status="404"}} 1.0' in text


def test_what_is_no_request_passes():
  async def app(scope, receive, send):
    await send({"type": "lifespan.startup.complete"})

  sent, text = called(app, kind="lifespan")
  assert sent == [{"type": "lifespan.startup.complete"}]
  assert "requests_total{" not in text


def test_a_failure_is_counted_and_passed_on():
  metrics = Metrics()

  async def app(scope, receive, send):
    raise RuntimeError

  with pytest.raises(RuntimeError):
    asyncio.run(Around(app, metrics=metrics)({"type": "http"}, None, None))
  assert metrics.answers == 1
