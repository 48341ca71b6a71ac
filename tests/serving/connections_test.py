import asyncio
import json

import pytest
import uvicorn

from genret.serving import connections
from genret.serving.limits import Limits

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LONG = b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n"
MANY = 32 << 20  # bytes; more than what sockets hold


async def answer(scope, receive, send):
  await asyncio.sleep(0.2)  # longer than a head may take
  body = b"x" * MANY if scope["path"] == "/long" else b"ok"
  head = {"type": "http.response.start", "status": 200}
  await send(head | {"headers": [(b"content-length", b"%d" % len(body))]})
  await send({"type": "http.response.body", "body": body})


@pytest.fixture
def serve():
  """Runs a client, a coroutine function of a port, against a server."""

  def serve(client, stopping=lambda: False, **limits):
    async def run():
      config = uvicorn.Config(
        answer,
        http=connections.protocol(Limits(**limits), stopping),
        lifespan="off",
        ws="none",
        log_config=None,
        port=0,
      )
      server = uvicorn.Server(config)
      config.load()
      server.lifespan = config.lifespan_class(config)
      await server.startup()
      port = server.servers[0].sockets[0].getsockname()[1]
      try:
        return await client(port)
      finally:
        await server.shutdown()

    return asyncio.run(run())

  return serve


async def opened(port):
  return await asyncio.open_connection("127.0.0.1", port)


async def asked(reader, writer):
  writer.write(GET)
  head = await reader.readuntil(b"\r\n\r\n")
  return head, await reader.readexactly(2)


def test_a_head_must_come_in_time_and_an_answer_need_not(serve):
  async def client(port):
    reader, writer = await opened(port)
    # Twice: a connection that is kept is watched again.
    first, second = [await asked(reader, writer) for _ in range(2)]
    assert first[1] == second[1] == b"ok"
    writer.write(GET[:9])
    rest = await reader.read()
    silent, other = await opened(port)
    nothing = await silent.read()
    for one in (writer, other):
      one.close()
    return rest, nothing

  assert serve(client, header_seconds=0.1) == (b"", b"")


def test_a_long_head_is_cut_off(serve):
  async def client(port):
    reader, writer = await opened(port)
    writer.write(GET[:-2] + b"x: " + b"y" * connections.HEAD_BYTES)
    try:
      rest = await reader.read()
    except ConnectionError:
      rest = b""
    writer.close()
    return rest

  assert b"200" not in serve(client)


def test_a_service_that_stops_takes_no_more_connections(serve):
  stopping = []

  async def client(port):
    first = await opened(port)
    await asked(*first)
    stopping.append(True)
    second = await opened(port)
    refusal = await second[0].read()
    _, body = await asked(*first)
    for _, writer in (first, second):
      writer.close()
    return refusal, body

  refusal, body = serve(client, stopping=lambda: bool(stopping))
  assert b" 503 " in refusal and b"the service is stopping" in refusal
  assert body == b"ok"


def test_one_connection_too_many_is_refused(serve):
  async def client(port):
    first = await opened(port)
    await asyncio.sleep(0.05)
    second = await opened(port)
    refusal = await second[0].read()
    _, body = await asked(*first)
    first[1].close()
    await first[1].wait_closed()
    await asyncio.sleep(0.05)
    third = await opened(port)
    _, again = await asked(*third)
    for _, writer in (second, third):
      writer.close()
    return refusal, body, again

  refusal, body, again = serve(client, connections=1)
  assert (
    refusal.startswith(b"HTTP/1.1 503 ") and b'{"error": "1 conn' in refusal
  )
  assert body == again == b"ok"


def test_a_client_that_does_not_read_is_dropped(serve):
  async def client(port):
    reader, writer = await opened(port)
    writer.write(LONG)
    await asyncio.sleep(1.0)  # the reader takes no more than it has room for
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
      await reader.readuntil(b"\r\n\r\n")
      await reader.readexactly(MANY)
    other = await opened(port)
    _, body = await asked(*other)
    for one in (writer, other[1]):
      one.close()
    return body

  assert serve(client, reading_seconds=0.2) == b"ok"


def test_a_client_that_reads_has_all_of_it(serve):
  async def client(port):
    reader, writer = await opened(port)
    writer.write(LONG)
    await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(MANY)
    again = await asked(reader, writer)
    writer.close()
    return len(body), again[1]

  assert serve(client) == (MANY, b"ok")


def test_what_is_no_http_is_told_so_as_all_else(serve):
  async def client(port):
    reader, writer = await opened(port)
    writer.write(b"HELLO\r\n\r\n")
    told = await reader.read()
    writer.close()
    return told

  head, _, body = serve(client).partition(b"\r\n\r\n")
  assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
  assert list(json.loads(body)) == ["error"]
