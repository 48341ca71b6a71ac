"""What a client is told when its request cannot be answered."""

import json
from collections.abc import Mapping


class Fault(Exception):
  """An answer other than 200: a status and one clear line.

  Attributes:
    status: Of HTTP.
    message: The line.
    headers: That go with it, such as Retry-After.
  """

  def __init__(
    self,
    status: int,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
  ):
    super().__init__(message)
    self.status = status
    self.message = message
    self.headers = dict(headers or {})

  @property
  def body(self) -> bytes:
    r"""The body of the answer.

    >>> Fault(404, "no document 'd9'").body
    b'{"error": "no document \'d9\'"}'
    """
    return json.dumps({"error": self.message}).encode()


def full(seconds: float) -> Fault:
  """Returns the answer to what would have to wait too long.

  Args:
    seconds: After which there may be room.
  """
  wait = max(1, round(seconds + 0.5))
  return Fault(
    429,
    f"too many queries are waiting; try again in {wait} s",
    headers={"retry-after": str(wait)},
  )


def stopping() -> Fault:
  """Returns the answer to what comes when the service is going."""
  return Fault(503, "the service is stopping", headers={"connection": "close"})


def late(seconds: float) -> Fault:
  """Returns the answer to what was not done within the deadline."""
  return Fault(504, f"not answered within {seconds:g} s")
