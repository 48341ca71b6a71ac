"""What one client may ask of a service, and how long anything may take."""

import dataclasses

from genret.core.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
  """Bounds of what is asked and of what is held.

  Attributes:
    query_characters: Of one query.
    queries: In one request.
    k: Documents a query.
    dropped: Prefixes that an explanation shows beside those kept.
    body_bytes: Of a request's body; what is longer is answered with 413.
    header_seconds: In which a request's head must have arrived.
    body_seconds: In which its body must have arrived.
    reading_seconds: In which a client must have taken what it was sent.
    deadline_seconds: In which it is answered, or given up with 504.
    stop_seconds: In which a stopping service is gone, everything that it
      accepted answered.
    connections: Open at a time; the next is answered with 503.
    waiting: Queries that wait to be decoded; beyond them, and where those
      that wait would take too long already, a request is answered with 429.
  """

  query_characters: int = 1000
  queries: int = 64
  k: int = 100
  dropped: int = 50
  body_bytes: int = 1 << 20
  header_seconds: float = 10.0
  body_seconds: float = 10.0
  reading_seconds: float = 20.0
  deadline_seconds: float = 10.0
  stop_seconds: float = 30.0
  connections: int = 512
  waiting: int = 256

  def __post_init__(self):
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      least = 0 if field.name == "dropped" else 1 if _whole(field) else 1e-3
      if value < least:
        raise ConfigError(
          f"Limits.{field.name} is {value}; expected {least} or more."
        )
    if self.waiting < self.queries:
      raise ConfigError(
        f"Limits.waiting is {self.waiting}, so that a request of"
        f" Limits.queries = {self.queries} could never be accepted."
      )
    longest = self.body_seconds + self.deadline_seconds
    if self.stop_seconds <= longest:
      raise ConfigError(
        f"Limits.stop_seconds is {self.stop_seconds:g}; a request that has"
        f" been accepted may take {longest:g} (body_seconds and"
        " deadline_seconds), so more are needed to answer it."
      )


def _whole(field: dataclasses.Field) -> bool:
  return field.type in (int, "int")
