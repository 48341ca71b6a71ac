import asyncio

import pytest

from genret.serving import bodies
from genret.serving.around import HEADERS, OTHER, ROUTE, Around
from genret.serving.metrics import Metrics


async def received():
  return {"type": "http.request", "body": b""}


def called(app, kind="http", host="localhost", receive=received, **settings):
  sent = []

  async def send(message):
    sent.append(message)

  metrics = Metrics()
  around = Around(app, metrics=metrics, **{"seconds": 0.2} | settings)
  scope = {"type": kind, "headers": [(b"host", host.encode())]}
  asyncio.run(around(scope, receive, send))
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

  around = Around(app, metrics=metrics, seconds=1.0)
  with pytest.raises(RuntimeError):
    asyncio.run(around({"type": "http", "headers": []}, received, None))
  assert metrics.answers == 1


@pytest.mark.parametrize(
  ("host", "hosts", "status"),
  [
    ("evil.example", None, 200),
    ("evil.example", (), 421),
    ("evil.example:8080", ("lab.example",), 421),
    ("localhost.evil.example", (), 421),
    ("127.0.0.1.evil.example", (), 421),
    ("Lab.Example:80", ("lab.example",), 200),
    ("LOCALHOST:8080", (), 200),
    ("127.0.0.1:8080", (), 200),
    ("[::1]:8080", (), 200),
    ("[::1]", (), 200),
    ("", (), 200),
  ],
)
def test_a_name_that_is_not_ours_is_refused(host, hosts, status):
  [start, *_], _ = called(answering(200), host=host, hosts=hosts)
  assert start["status"] == status


def sending(*parts):
  """Returns what receives a body in parts, and the parts that are left."""
  left = list(parts)

  async def receive():
    if not left:
      await asyncio.Event().wait()
    body = left.pop(0)
    return {"type": "http.request", "body": body, "more_body": bool(body)}

  return receive, left


def closes(start):
  return (b"connection", b"close") in start["headers"]


def test_what_is_refused_is_read_first_that_its_answer_may_be():
  receive, left = sending(b"x" * 9, b"y" * 9, b"")
  [start], _ = called(answering(401), receive=receive)
  assert left == [] and not closes(start)


def test_what_is_accepted_is_left_to_the_application():
  receive, left = sending(b"x" * 9, b"")
  called(answering(200), receive=receive)
  assert len(left) == 2


def test_a_body_that_does_not_end_is_not_waited_for():
  receive, left = sending(b"x" * 9)
  [start], _ = called(answering(401), receive=receive, seconds=0.05)
  assert left == [] and closes(start)


def test_a_client_that_was_too_slow_has_no_more_time():
  receive, left = sending(b"x" * 9, b"")
  [start], _ = called(answering(408), receive=receive)
  assert len(left) == 2 and closes(start)


def test_a_body_without_measure_is_not_read(monkeypatch):
  monkeypatch.setattr(bodies, "DRAINED", 100)
  receive, left = sending(*[b"x" * 60] * 9, b"")
  [start], _ = called(answering(413), receive=receive)
  assert len(left) == 8 and closes(start)
