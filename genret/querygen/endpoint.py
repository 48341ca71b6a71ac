"""Any service that speaks OpenAI's chat protocol as a backend of prompts."""

import dataclasses
import email.utils
import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from genret.core.errors import ConfigError, UserError
from genret.querygen.prompting import Answer, Ask, Decoding

INSTALL = "pip install 'genret[endpoint]'"
OF_A_DOCUMENT = (400, 413, 422)  # as of one that is too long for a model
MOST_REFUSED = 5  # documents in a row, before a run ends
TRANSIENT = (408, 409, 425, 429)  # and all from 500 on
SHOWN = 200  # characters of an answer in a message


class EndpointError(UserError):
  """An endpoint that does not answer, or not as one can use it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
  """How an endpoint is called; none of it is in an artifact's identity.

  Attributes:
    key_variable: the environment variable with the key; need not be set for
      servers that ask for none.
    in_flight: requests under way at once.
    timeout: seconds until a request is given up.
    tries: of a request that fails as it might not the next time: time-outs,
      broken connections, 429 and 5xx, answers cut off in the middle.
    first_wait: seconds before the second try; each further wait is twice as
      long. Retry-After is obeyed where it says more.
    longest_wait: seconds; a Retry-After beyond it ends the run.
    extra: fields added to each request; None removes one, as for a model that
      wants max_completion_tokens: {"max_tokens": None,
      "max_completion_tokens": 64}.
  """

  key_variable: str = "OPENAI_API_KEY"
  in_flight: int = 8
  timeout: float = 60.0
  tries: int = 6
  first_wait: float = 1.0
  longest_wait: float = 300.0
  extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def __post_init__(self):
    if self.in_flight < 1 or self.tries < 1 or self.timeout <= 0:
      raise ConfigError(
        "in_flight and tries are 1 or more, timeout is above 0; in_flight"
        f" {self.in_flight}, tries {self.tries}, timeout {self.timeout} came."
      )


class Endpoint:
  """Asks a service for queries: n answers to one prompt a request.

  A service that ignores `n` answers once; what is missing is asked again. A
  document that is refused where others were answered has an answer without
  texts.

  Args:
    url: base address of the service.
    model: what it calls the model.
    decoding: how answers are drawn.
    service: how it is called.
    proven: whether it answered the like before.
    sleep: waits some seconds.

  Attributes:
    name: of the model.
    batch: 1.
    in_flight: see `Service`.
  """

  batch = 1

  def __init__(
    self,
    url: str,
    *,
    model: str,
    decoding: Decoding,
    service: Service | None = None,
    proven: bool = False,
    sleep: Callable[[float], None] = time.sleep,
  ):
    service = service or Service()
    self.name = model
    self.in_flight = service.in_flight
    self._url = url
    self._decoding = decoding
    self._service = service
    self._sleep = sleep
    self._proven = proven
    self._in_a_row = 0  # documents refused since the last answer
    openai = _library()
    self._client = openai.OpenAI(
      base_url=url,
      api_key=os.environ.get(service.key_variable) or "none",
      timeout=service.timeout,
      max_retries=0,  # retried here, where Retry-After has no upper limit
    )
    self._errors = openai

  def complete(self, asks: Sequence[Ask]) -> list[Answer]:
    """Answers each ask by a request, tried again where that may help.

    Raises:
      EndpointError: the service refuses, is no such service, or failed as
        often as it may.
    """
    return [self._complete(ask) for ask in asks]

  def close(self) -> None:
    """Closes all connections."""
    self._client.close()

  def _complete(self, ask: Ask) -> Answer:
    wait = self._service.first_wait
    for left in reversed(range(self._service.tries)):
      try:
        answer = _read(self._request(ask), self._url)
        self._proven, self._in_a_row = True, 0
        return answer
      except self._errors.APIStatusError as error:
        if self._goes_on(error.status_code):
          return Answer(texts=())
        if not _transient(error.status_code):
          raise self._refused(error, ask) from error
        failure, least = error, _retry_after(error.response.headers)
      except (self._errors.APIError, _CutOffError) as error:
        failure, least = error, 0.0
      if not left or least > self._service.longest_wait:
        raise self._gave_up(failure, least) from failure
      self._sleep(max(wait * random.uniform(0.75, 1.25), least))
      wait = min(2 * wait, self._service.longest_wait)
    raise AssertionError("unreachable")

  def _request(self, ask: Ask) -> Any:
    fields = {
      "model": self.name,
      "messages": [dataclasses.asdict(m) for m in ask.messages],
      "temperature": self._decoding.temperature,
      "top_p": self._decoding.top_p,
      "max_tokens": self._decoding.max_tokens,
      "n": ask.n,
    }
    if ask.prompt.as_list:
      fields |= {"n": 1, "max_tokens": self._decoding.max_tokens * ask.n}
    fields |= self._service.extra
    body = {name: value for name, value in fields.items() if value is not None}
    raw = self._client.chat.completions.with_raw_response.create(
      model=body.pop("model"), messages=body.pop("messages"), extra_body=body
    )
    return raw.text

  def _goes_on(self, code: int) -> bool:
    """Whether a status is about one document, and not about all requests."""
    if code not in OF_A_DOCUMENT:
      return False
    self._in_a_row += 1
    return self._proven and self._in_a_row < MOST_REFUSED

  def _refused(self, error: Any, ask: Ask) -> EndpointError:
    """Words an answer that will not change."""
    code = error.status_code
    too_long = (
      "The document may be too long for the model: give fewer --document_words"
      " and another --out, or correct the request by --gin.EXTRA."
    )
    advice = {
      401: f"Put a valid key into {self._service.key_variable}.",
      403: f"The key in {self._service.key_variable} may not do this.",
      404: "Check the address, which mostly ends in /v1, and the --model.",
      **dict.fromkeys(OF_A_DOCUMENT, too_long),
    }.get(code, "Nothing was paid for this request; what came before is kept.")
    return EndpointError(
      f"{self._url} answered {code} for model {self.name!r} and document"
      f" {ask.docno!r}: {_shown(error.response.text)}. {advice}"
    )

  def _gave_up(self, failure: Exception, least: float) -> EndpointError:
    what = str(failure) or type(failure).__name__
    if least > self._service.longest_wait:
      what += f" It asks to wait {least:,.0f} s."
    return EndpointError(
      f"{self._url} failed {self._service.tries} times or for long; the last"
      f" time: {_shown(what)} Every answer that came is kept: the same command"
      " goes on from there."
    )


class _CutOffError(Exception):
  """An answer that ends in the middle of its JSON."""


def _read(text: str, url: str) -> Answer:
  """Reads the body of an answer.

  Raises:
    EndpointError: it is nothing of the protocol.
    _CutOffError: it is the beginning of something.
  """
  try:
    body = json.loads(text)
  except ValueError as error:
    if text.lstrip().startswith("{"):
      raise _CutOffError(f"an answer cut off at {text[-40:]!r}") from error
    raise EndpointError(_no_protocol(url, text)) from error
  try:
    return _answer(body)
  except (TypeError, KeyError) as error:
    raise EndpointError(_no_protocol(url, text)) from error


def _answer(body: Any) -> Answer:
  """Reads a completion; raises TypeError or KeyError where it is none."""
  choices = _of_type(body, dict)["choices"]
  usage = _of_type(body.get("usage") or {}, dict)
  details = _of_type(usage.get("prompt_tokens_details") or {}, dict)
  return Answer(
    texts=tuple(_text(choice) for choice in _of_type(choices, list)),
    prompt_tokens=_of_type(usage.get("prompt_tokens") or 0, int),
    cached_tokens=_of_type(details.get("cached_tokens") or 0, int),
    completion_tokens=_of_type(usage.get("completion_tokens") or 0, int),
  )


def _text(choice: Any) -> str:
  """Reads a text, in one piece or in parts."""
  message = _of_type(_of_type(choice, dict).get("message") or {}, dict)
  content = message.get("content") or ""
  if isinstance(content, list):
    content = "".join(
      _of_type(_of_type(part, dict).get("text") or "", str) for part in content
    )
  # Half of a surrogate pair, as of an emoji that was cut, cannot be written.
  return _of_type(content, str).encode("utf-8", "replace").decode()


def _of_type(value: Any, kind: type) -> Any:
  if not isinstance(value, kind):
    raise TypeError(f"{value!r} came; expected {kind.__name__}")
  return value


def _no_protocol(url: str, text: str) -> str:
  return (
    f"{url} answered, but with no chat completion: {_shown(text)}. Give the"
    " base address of an API that speaks OpenAI's protocol; it mostly ends in"
    " /v1."
  )


def _transient(code: int) -> bool:
  return code in TRANSIENT or code >= 500


def _retry_after(headers: Mapping[str, str]) -> float:
  """Returns the seconds that an answer asks to wait, 0 where it does not."""
  said = headers.get("retry-after", "0")
  try:
    return max(float(said), 0.0)
  except ValueError:
    pass
  try:
    until = email.utils.parsedate_to_datetime(said)
  except ValueError:
    return 0.0
  return max(until.timestamp() - time.time(), 0.0)


def _shown(text: str) -> str:
  short = " ".join(text.split())
  return repr(short if len(short) <= SHOWN else f"{short[:SHOWN]}…")


def _library() -> Any:
  try:
    import openai
  except ImportError as error:
    raise ConfigError(
      f"An endpoint needs the package openai. Run: {INSTALL}"
    ) from error
  return openai
