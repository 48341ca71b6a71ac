"""The stage behind `genret serve`: a model folder in, answers out."""

import contextlib
import dataclasses
import ipaddress
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genret.core.collection import Collection
from genret.core.errors import ConfigError, UserError
from genret.serving.index import Index
from genret.serving.limits import Limits

LEAST_TOKEN = 16  # characters
LAST_BATCH = 5.0  # seconds for what is decoded for clients that are gone


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServeConfig:
  """How a model is served.

  Attributes:
    host: The address to listen on; only this machine reaches 127.0.0.1.
    port: Of it; 0 for any that is free.
    hosts: Names of this machine by which a service may be asked that is on
      loopback and wants no token, besides localhost and numbers: those of a
      proxy that hands them on.
    num_beams: Docids kept a step where a request does not say.
    beams: Other numbers that requests may ask for; each is compiled before
      the port opens.
    checkpoint: `best`, `newest`, or a step.
    bm25: Whether BM25 is served as well, where there is a collection.
    window_seconds: How long an idle service waits for queries that it could
      decode together with the first.
    log_queries: Whether queries are written to standard error.
    limits: Of requests.
  """

  host: str = "127.0.0.1"
  port: int = 8080
  hosts: tuple[str, ...] = ()
  num_beams: int = 10
  beams: tuple[int, ...] = ()
  checkpoint: str | int = "best"
  bm25: bool = True
  window_seconds: float = 0.003
  log_queries: bool = False
  limits: Limits = Limits()

  def __post_init__(self):
    if not 0 <= self.port <= 65535:
      raise ConfigError(f"port is {self.port}; expected 0 to 65535.")
    if min(self.all_beams) < 1:
      raise ConfigError(f"num_beams is {min(self.all_beams)}; expected 1 on.")
    if self.window_seconds < 0:
      raise ConfigError(
        f"window_seconds is {self.window_seconds}; expected 0 or more."
      )

  @property
  def all_beams(self) -> tuple[int, ...]:
    """The numbers of beams that may be asked for, ascending."""
    return tuple(sorted({self.num_beams, *self.beams}))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Served:
  """What a service did until it was stopped.

  Attributes:
    answers: Requests answered.
    seconds: For how long it was there.
  """

  answers: int
  seconds: float


def run(
  config: ServeConfig,
  model_dir: Path,
  collection: Collection | None = None,
  *,
  token_file: Path | None = None,
) -> Served:
  """Serves a model until SIGTERM or SIGINT.

  Args:
    config: The settings.
    model_dir: A folder of `genret train`.
    collection: The collection that it was trained on, for titles, texts and
      BM25; None for docnos alone.
    token_file: A file whose first line is the token that requests must bear;
      None for no token.

  Returns:
    What it did.

  Raises:
    UserError: If something given cannot be right.
  """
  _check_installed()
  from genret.serving import app, service

  token = None if token_file is None else read_token(token_file)
  with bound(config.host, config.port) as listener:
    index = Index.open(
      model_dir, collection, checkpoint=config.checkpoint, bm25=config.bm25
    )
    _say(f"compiling searches of {model_dir} …")
    served = service.Service(
      index,
      limits=config.limits,
      beams=config.all_beams,
      num_beams=config.num_beams,
      window=config.window_seconds,
      seconds=index.warm_up(config.all_beams),
    )
    application = app.create(
      served,
      token=token,
      hosts=config.hosts if is_loopback(listener) else None,
      log=sys.stderr if config.log_queries else None,
    )
    server = _server(application, config.limits)
    with _stopped_by_signals(server):
      try:
        listener.listen(config.limits.connections)
      except OSError as error:  # another took the port in the meantime
        raise _taken(config.host, config.port, error) from error
      _say(greeting(index, listener, locked=token is not None))
      started = time.monotonic()
      served.batcher.start()
      server.run(sockets=[listener])
      served.batcher.close(timeout=LAST_BATCH)
  return Served(
    answers=served.metrics.answers, seconds=time.monotonic() - started
  )


def read_token(path: Path) -> str:
  """Reads the token that requests must bear: the first line of a file.

  Raises:
    ConfigError: If there is none, or it is too short, or no plain characters.
  """
  try:
    text = Path(path).read_text(encoding="utf-8")
  except (OSError, UnicodeDecodeError) as error:
    raise ConfigError(f"no token can be read from {path}: {error}.") from error
  token = text.partition("\n")[0].strip()
  if len(token) < LEAST_TOKEN or not token.isascii() or " " in token:
    raise ConfigError(
      f"{path}: the first line is to be a token of {LEAST_TOKEN} or more ASCII"
      " characters without blanks. `openssl rand -hex 32` makes one."
    )
  return token


def bound(host: str, port: int) -> socket.socket:
  """Takes a port; connections are refused until something listens on it.

  Raises:
    UserError: If the address is none of this machine, or something listens
      there already.
  """
  try:
    family, kind, protocol, _, address = socket.getaddrinfo(
      host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
  except OSError as error:
    raise UserError(f"host is {host!r}: {error.strerror}.") from error
  # asyncio sends at once (TCP_NODELAY) only where the protocol is named; else
  # each answer waits for the client's delayed acknowledgement, 40 ms.
  listener = socket.socket(family, kind, protocol)
  listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  try:
    listener.bind(address)
  except OSError as error:
    listener.close()
    raise _taken(host, port, error) from error
  return listener


def _taken(host: str, port: int, error: OSError) -> UserError:
  return UserError(
    f"cannot listen on {host}, port {port}: {error.strerror}. --port=0 takes"
    " any port that is free."
  )


def greeting(index: Index, listener: socket.socket, *, locked: bool) -> str:
  """Says what is served where, and whom to fear."""
  host, port = listener.getsockname()[:2]
  shown = f"[{host}]" if ":" in host else host
  lines = [
    f"serving {index.num_documents:,} documents ({index.scheme} docids) on"
    f" http://{shown}:{port}/ until Ctrl-C"
  ]
  if not is_loopback(listener):
    who = "whoever bears the token" if locked else "ANYONE, without a token,"
    lines.append(
      f"warning: {host} is not loopback: {who} who reaches this machine can"
      " search and read the documents, and all of it passes unencrypted"
      + ("." if locked else "; --token_file asks for a token.")
    )
  return "\n".join(lines)


def is_loopback(listener: socket.socket) -> bool:
  """Says whether only this machine reaches a port."""
  host = listener.getsockname()[0].partition("%")[0]
  return ipaddress.ip_address(host).is_loopback


def _server(application: Any, limits: Limits) -> Any:
  """Returns a server that listens until it should exit.

  Then it answers what it has accepted.
  """
  import uvicorn

  from genret.serving import connections

  server = uvicorn.Server(
    uvicorn.Config(
      application,
      http=connections.protocol(limits, lambda: server.should_exit),
      ws="none",
      loop="asyncio",
      lifespan="off",
      log_config=None,
      log_level="error",  # what is no HTTP is told to the client, and not here
      access_log=False,
      server_header=False,
      timeout_keep_alive=60,
      timeout_graceful_shutdown=limits.stop_seconds,
      backlog=limits.connections,
    )
  )
  return server


@contextlib.contextmanager
def _stopped_by_signals(server: Any) -> Iterator[None]:
  """Lets SIGINT and SIGTERM stop a server, and not the process.

  While uvicorn runs it stops at these signals itself, and then raises them
  again for whoever handled them before. That one must not end the process: it
  has succeeded.
  """

  def stop(number: int, frame: Any) -> None:
    server.should_exit = True

  before = {
    number: signal.signal(number, stop)
    for number in (signal.SIGINT, signal.SIGTERM)
  }
  try:
    yield
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


def _check_installed() -> None:
  try:
    import prometheus_client  # noqa: F401
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
  except ImportError as error:
    raise UserError(
      f"genret serve needs {error.name}, which is not installed:"
      " pip install 'genret[serve]'."
    ) from error


def _say(message: str) -> None:
  print(message, flush=True)
