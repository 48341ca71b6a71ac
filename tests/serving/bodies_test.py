import asyncio

import pytest
from starlette.requests import ClientDisconnect, Request

from genret.serving import bodies
from genret.serving.faults import Fault
from genret.serving.limits import Limits

JSON = {"content-type": "application/json"}


def read(*parts, headers=JSON, **limits):
  """Reads a body that comes in parts; None never comes."""
  parts = list(parts)

  async def receive():
    part = parts.pop(0)
    if part is None:
      await asyncio.Event().wait()
    if isinstance(part, dict):
      return part
    return {"type": "http.request", "body": part, "more_body": bool(parts)}

  scope = {
    "type": "http",
    "headers": [(n.encode(), v.encode()) for n, v in headers.items()],
  }
  request = Request(scope, receive)
  return asyncio.run(bodies.read_json(request, Limits(**limits)))


def refused(*parts, **options):
  with pytest.raises(Fault) as fault:
    read(*parts, **options)
  assert "\n" not in fault.value.message
  return fault.value


def test_a_body_in_parts_is_one():
  assert read(b'{"a"', b": [1", b"]}") == {"a": [1]}


@pytest.mark.parametrize(
  ("body", "message"),
  [
    (b"", "line 1, column 1"),
    (b'{"a": 1', "no JSON"),
    (b'{"a": \xff}', "no UTF-8, from byte 6 on"),
    (b'{"a": NaN}', "NaN is no number"),
    (b'{"a": -Infinity}', "-Infinity is no number"),
    (b'{"a": 1, "a": 2}', "names a field twice"),
    (b"[" * 100_000, "nested too deep"),
    (b'{"a":' * 100_000, "nested too deep"),
    (b'{"a": %s}' % (b"9" * 5000), "too many digits"),
    (b"\xef\xbb\xbf{}", "BOM"),
    (b'{"a": "\x00"}', "control character"),
  ],
)
def test_what_is_no_json_is_refused(body, message):
  fault = refused(body)
  assert fault.status == 400 and message in fault.message


def test_a_body_too_long_is_refused():
  fault = refused(b"x" * 60, b"x" * 60, b"x" * 60, body_bytes=100)
  assert fault.status == 413
  assert read(b" " * 98 + b"{}", body_bytes=100) == {}


def test_a_slow_body_is_given_up():
  fault = refused(b"{", None, body_seconds=0.05)
  assert fault.status == 408


def test_a_client_that_hangs_up_is_no_fault():
  with pytest.raises(ClientDisconnect):
    read(b"{", {"type": "http.disconnect"})


@pytest.mark.parametrize(
  "headers",
  [
    {},
    {"content-type": "text/plain"},
    {"content-type": "application/json; charset=latin-1"},
    JSON | {"content-encoding": "gzip"},
  ],
)
def test_other_types_of_body_are_refused(headers):
  assert refused(b"{}", headers=headers).status == 415


def test_utf8_may_be_said():
  headers = {"content-type": 'Application/JSON; charset="UTF-8"'}
  assert read(b"{}", headers=headers) == {}
