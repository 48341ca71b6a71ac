"""The service as an ASGI application: its routes."""

import functools
import hashlib
import hmac
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, TextIO

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from genret.serving import bodies, metrics, openapi
from genret.serving.around import ROUTE, Around
from genret.serving.faults import Fault
from genret.serving.page import Page
from genret.serving.service import HungUp, Service

HUNG_UP = 499  # nobody reads it; metrics have it

Answer = Callable[[Request], Awaitable[Response]]


def create(
  service: Service, *, token: str | None = None, log: TextIO | None = None
) -> Starlette:
  """Makes the application.

  Args:
    service: What answers.
    token: What requests must bear; None for nothing. The page, /health and
      /openapi.json are had without.
    log: Where queries are written, a line of JSON each; None for nowhere.
  """
  digest = hashlib.sha256(token.encode()).digest() if token else None
  locked = functools.partial(_endpoint, digest=digest)
  asked = functools.partial(_asked, service, log=log)
  page = _endpoint(Page())
  return Starlette(
    routes=[
      _get("/", page),
      _get("/static/{name}", page),
      _post("/search", locked(asked(service.search))),
      _post("/explain", locked(asked(service.explain))),
      _get("/documents/{docno:path}", locked(_document(service))),
      _get("/health", _endpoint(_told(service.health))),
      _get("/metrics", locked(_metrics(service))),
      _get("/openapi.json", _endpoint(_told(openapi.of(service, digest)))),
    ],
    middleware=[Middleware(Around, metrics=service.metrics)],
    exception_handlers={HTTPException: _no_route},
  )


def _get(path: str, endpoint: Answer) -> Route:
  return Route(path, endpoint, methods=["GET"])


def _post(path: str, endpoint: Answer) -> Route:
  return Route(path, endpoint, methods=["POST"])


def _endpoint(answer: Answer, *, digest: bytes | None = None) -> Answer:
  """Returns an endpoint that asks for the token, and words what goes wrong."""

  async def endpoint(request: Request) -> Response:
    request.scope[ROUTE] = request.scope["route"].path
    try:
      _check_token(request, digest)
      return await answer(request)
    except Fault as fault:
      return _told_fault(fault)
    except (HungUp, ClientDisconnect):
      return Response(status_code=HUNG_UP)
    except Exception as error:
      _report(error)
      return _told_fault(Fault(500, "a fault of the service; its log has it"))

  return endpoint


def _check_token(request: Request, digest: bytes | None) -> None:
  if digest is None:
    return
  scheme, _, given = request.headers.get("authorization", "").partition(" ")
  # Hashes are of one length, so that the time tells nothing of the token's.
  found = hashlib.sha256(given.strip().encode("latin-1", "replace")).digest()
  if not hmac.compare_digest(found, digest) or scheme.lower() != "bearer":
    raise Fault(
      401,
      "the service wants its token: Authorization: Bearer TOKEN",
      headers={"www-authenticate": "Bearer"},
    )


def _asked(
  service: Service,
  answer: Callable[..., Awaitable[dict[str, Any]]],
  *,
  log: TextIO | None,
) -> Answer:
  async def asked(request: Request) -> Response:
    body = await bodies.read_json(request, service.limits)
    found = await answer(body, functools.partial(_gone, request))
    if log is not None:
      _write(log, request, body)
    return _json(found)

  return asked


async def _gone(request: Request) -> None:
  """Returns once the client has hung up."""
  while (await request.receive())["type"] != "http.disconnect":
    pass


def _write(log: TextIO, request: Request, body: dict[str, Any]) -> None:
  line = {"time": time.time(), "route": request.url.path} | body
  print(json.dumps(line), file=log, flush=True)


def _document(service: Service) -> Answer:
  async def document(request: Request) -> Response:
    docno = request.path_params["docno"]
    return _json(await run_in_threadpool(service.document, docno))

  return document


def _metrics(service: Service) -> Answer:
  async def text(request: Request) -> Response:
    del request
    return Response(
      service.metrics.text(), headers={"content-type": metrics.CONTENT_TYPE}
    )

  return text


def _told(tell: Callable[[], dict[str, Any]]) -> Answer:
  async def told(request: Request) -> Response:
    del request
    return _json(tell())

  return told


async def _no_route(request: Request, error: HTTPException) -> Response:
  """Words that there is no such route, or no such method of it."""
  del request
  message = {404: "no such address", 405: "no such method here"}
  return _told_fault(
    Fault(
      error.status_code,
      message.get(error.status_code, str(error.detail)),
      headers=error.headers,
    )
  )


def _told_fault(fault: Fault) -> Response:
  return Response(
    fault.body,
    status_code=fault.status,
    headers=fault.headers,
    media_type="application/json",
  )


def _json(found: dict[str, Any]) -> Response:
  content = json.dumps(found, allow_nan=False).encode()
  return Response(content, media_type="application/json")


def _report(error: Exception) -> None:
  """Logs where a fault stands, without its message: a query may be in it."""
  where = "".join(traceback.format_tb(error.__traceback__))
  print(f"{where}{type(error).__name__}", file=sys.stderr, flush=True)
