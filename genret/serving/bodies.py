"""Reads the body of a request: bounded in bytes, in time and in depth."""

import asyncio
import json
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.types import Message, Receive

from genret.serving.faults import Fault
from genret.serving.limits import Limits

SLOW = 408
DRAINED = 16 << 20
"""Bytes of a body that is refused which are read before the answer."""


class Watched:
  """The body of a request, and whether it is read to its end.

  Args:
    receive: Gives its parts.
  """

  def __init__(self, receive: Receive):
    self._receive = receive
    self._more = True

  async def receive(self) -> Message:
    """Returns the next part."""
    message = await self._receive()
    self._more = message.get("more_body", False)
    return message

  async def drained(self, seconds: float) -> bool:
    """Reads what is left, and returns whether that was all.

    A client that is still sending does not read what it is told.

    Args:
      seconds: In which it must arrive.
    """
    left = DRAINED
    try:
      async with asyncio.timeout(seconds):
        while self._more and left > 0:
          left -= len((await self.receive()).get("body", b""))
    except TimeoutError:
      pass
    return not self._more


async def read_json(request: Request, limits: Limits) -> Any:
  """Reads a body and parses it.

  Raises:
    Fault: 400, 408, 413 or 415, with one line that says why.
    ClientDisconnect: If the client hung up.
  """
  _check_type(request)
  try:
    async with asyncio.timeout(limits.body_seconds):
      body = await _read(request, limits.body_bytes)
  except TimeoutError:
    raise Fault(
      SLOW, f"the body did not arrive within {limits.body_seconds:g} s"
    ) from None
  return parse(body)


async def _read(request: Request, most: int) -> bytes:
  body = bytearray()
  async for part in request.stream():
    body += part
    if len(body) > most:
      raise Fault(413, f"the body is longer than {most:,} bytes")
  return bytes(body)


def _check_type(request: Request) -> None:
  given = request.headers.get("content-type", "")
  kind, _, rest = given.partition(";")
  charset = rest.strip().lower().replace('"', "")
  if kind.strip().lower() != "application/json" or charset not in (
    "",
    "charset=utf-8",
  ):
    raise Fault(
      415,
      f"the body's type is {given[:80]!r}; expected 'application/json', in"
      " UTF-8",
    )
  encoding = request.headers.get("content-encoding", "identity")
  if encoding.lower() != "identity":
    raise Fault(415, f"the body's encoding is {encoding[:80]!r}; expected none")


def parse(body: bytes) -> Any:
  r"""Parses JSON, and no more than JSON.

  >>> parse(b'{"query": "who"}')
  {'query': 'who'}

  Raises:
    Fault: 400, with one line that says what is wrong, and where.
  """
  try:
    text = body.decode("utf-8")
  except UnicodeDecodeError as error:
    raise Fault(
      400, f"the body is no UTF-8, from byte {error.start} on"
    ) from None
  try:
    return json.loads(
      text, parse_constant=_refuse, object_pairs_hook=_without_twins
    )
  except json.JSONDecodeError as error:
    raise Fault(
      400,
      f"the body is no JSON: {error.msg} at line {error.lineno}, column"
      f" {error.colno}",
    ) from None
  except RecursionError:
    raise Fault(400, "the body is nested too deep") from None
  except ValueError:  # of int: it has thousands of digits
    raise Fault(400, "the body holds a number of too many digits") from None


def _refuse(constant: str) -> NoReturn:
  raise Fault(400, f"the body is no JSON: {constant} is no number")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  found = dict(pairs)
  if len(found) < len(pairs):
    raise Fault(400, "the body names a field twice")
  return found
