import asyncio

import pytest
import uvicorn

from genret.serving import connections
from genret.serving.limits import Limits

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def answer(scope, receive, send):
  await asyncio.sleep(0.2)  # longer than a head may take
  head = {"type": "http.response.start", "status": 200}
  await send(head | {"headers": [(b"content-length", b"2")]})
  await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def serve():
  """Runs a client, a coroutine function of a port, against a server."""

  def serve(client, **limits):
    async def run():
      config = uvicorn.Config(
        answer,
        http=connections.protocol(Limits(**limits)),
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
