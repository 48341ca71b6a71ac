"""What a service counts, for Prometheus."""

import weakref

import jax
from prometheus_client import (
  CollectorRegistry,
  Counter,
  Gauge,
  Histogram,
  PlatformCollector,
  ProcessCollector,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from genret.serving.batching import Watch

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

_COMPILED = "/jax/core/compile/backend_compile_duration"


class Metrics:
  """Counters of one service, in a registry of their own.

  Attributes:
    answers: How many have been given, of any status.
    registry: Of these counters, and of the process.
  """

  def __init__(self):
    self.answers = 0
    self.registry = CollectorRegistry()
    ProcessCollector(registry=self.registry)
    PlatformCollector(registry=self.registry)
    self._requests = Counter(
      "genret_requests",
      "Requests answered, by route and status.",
      ("route", "status"),
      registry=self.registry,
    )
    self._seconds = Histogram(
      "genret_request_seconds",
      "From a request's head to the end of its answer.",
      ("route",),
      buckets=_SECONDS,
      registry=self.registry,
    )
    self._waiting = Gauge(
      "genret_waiting_queries",
      "Queries that wait to be decoded.",
      registry=self.registry,
    )
    self._batch = Histogram(
      "genret_batch_queries",
      "Queries decoded together.",
      buckets=_SIZES,
      registry=self.registry,
    )
    self._batch_seconds = Histogram(
      "genret_batch_seconds",
      "Time that a batch took.",
      buckets=_SECONDS,
      registry=self.registry,
    )
    self._given_up = Counter(
      "genret_given_up",
      "Requests whose client hung up, or whose deadline passed.",
      ("why",),
      registry=self.registry,
    )

    self._compiled = Counter(
      "genret_compilations",
      "Programs that XLA compiled since the service was made.",
      registry=self.registry,
    )
    _tell_of_compilations(self)

  @property
  def watch(self) -> Watch:
    """What a batcher tells these counters."""
    return Watch(waiting=self._waiting.set, worked=self._worked)

  def answered(self, route: str, status: int, seconds: float) -> None:
    """Counts an answer."""
    self.answers += 1
    self._requests.labels(route, str(status)).inc()
    self._seconds.labels(route).observe(seconds)

  def given_up(self, why: str) -> None:
    """Counts a request that nobody waits for any more."""
    self._given_up.labels(why).inc()

  def text(self) -> bytes:
    """Returns all of it as Prometheus reads it."""
    return generate_latest(self.registry)

  def compiled(self) -> None:
    """Counts a program that has been compiled."""
    self._compiled.inc()

  def _worked(self, items: int, seconds: float) -> None:
    self._batch.observe(items)
    self._batch_seconds.observe(seconds)


def _tell_of_compilations(metrics: Metrics) -> None:
  """Has JAX tell of what it compiles, for as long as the metrics live."""
  known = weakref.ref(metrics)

  def listen(event: str, duration: float, **rest: object) -> None:
    if event == _COMPILED and (found := known()) is not None:
      found.compiled()

  jax.monitoring.register_event_duration_secs_listener(listen)
