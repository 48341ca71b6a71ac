"""The service as an ASGI application: its routes."""

import functools
import hashlib
import hmac
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TextIO

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from genret.serving import bodies, metrics, openapi
from genret.serving.around import ROUTE, Around, told
from genret.serving.faults import Fault
from genret.serving.page import Page
from genret.serving.service import HungUp, Service

HUNG_UP = 499  # nobody reads it; metrics have it
DOCUMENTS = "/documents/"

Answer = Callable[[Request], Awaitable[Response]]


def create(
  service: Service,
  *,
  token: str | None = None,
  hosts: Collection[str] | None = None,
  log: TextIO | None = None,
) -> Starlette:
  """Makes the application.

  Args:
    service: What answers.
    token: What requests must bear; None for nothing. The page, /health and
      /openapi.json are had without.
    hosts: By which names, besides localhost, it may be asked where it wants
      no token; None for any. A page of another site that has made its name
      point here can ask by that name alone, and bears no token.
    log: Where queries are written, a line of JSON each; None for nowhere.
  """
  digest = hashlib.sha256(token.encode()).digest() if token else None
  get, post = [
    functools.partial(_route, method=name, digest=digest)
    for name in ("GET", "POST")
  ]
  open_to_all = functools.partial(_route, method="GET", digest=None)
  asked = functools.partial(_asked, service, log=log)
  page = Page()
  application = Starlette(
    routes=[
      open_to_all("/", page),
      open_to_all("/static/{name}", page),
      post("/search", asked(service.search)),
      post("/explain", asked(service.explain)),
      get(f"{DOCUMENTS}{{docno:path}}", _document(service)),
      open_to_all("/health", _told(service.health)),
      get("/metrics", _metrics(service)),
      open_to_all("/openapi.json", _told(openapi.of(service, digest))),
    ],
    middleware=[
      Middleware(
        Around,
        metrics=service.metrics,
        seconds=service.limits.body_seconds,
        hosts=hosts if token is None else None,
      )
    ],
    exception_handlers={HTTPException: _no_route},
  )
  application.router.redirect_slashes = False  # to what Host says
  return application


def _route(
  path: str, answer: Answer, *, method: str, digest: bytes | None
) -> Route:
  """Returns a route that asks for the token, and words what goes wrong."""

  async def endpoint(request: Request) -> Response:
    request.scope[ROUTE] = path
    try:
      _check_token(request, digest)
      return await answer(request)
    except Fault as fault:
      return told(fault)
    except (HungUp, ClientDisconnect):
      return Response(status_code=HUNG_UP)
    except Exception as error:
      _report(error)
      return told(Fault(500, "a fault of the service; its log has it"))

  return Route(path, endpoint, methods=[method])


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
    # As it is: the route's own pattern leaves a newline at the end out.
    docno = request.scope["path"].removeprefix(DOCUMENTS)
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
  async def answer(request: Request) -> Response:
    del request
    return _json(tell())

  return answer


async def _no_route(request: Request, error: HTTPException) -> Response:
  """Words that there is no such route, or no such method of it."""
  del request
  message = {404: "no such address", 405: "no such method here"}
  return told(
    Fault(
      error.status_code,
      message.get(error.status_code, str(error.detail)),
      headers=error.headers,
    )
  )


def _json(found: dict[str, Any]) -> Response:
  content = json.dumps(found, allow_nan=False).encode()
  return Response(content, media_type="application/json")


def _report(error: Exception) -> None:
  """Logs where a fault stands, without its message: a query may be in it."""
  where = "".join(traceback.format_tb(error.__traceback__))
  print(f"{where}{type(error).__name__}", file=sys.stderr, flush=True)
