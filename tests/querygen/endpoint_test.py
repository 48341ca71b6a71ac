import email.utils
import json
import time

import pytest

from genret.core.errors import ConfigError
from genret.querygen.endpoint import Endpoint, EndpointError, Service
from genret.querygen.prompting import Answer, Ask, Decoding, Example, Prompt

pytest.importorskip("openai", reason="openai is not installed")

PROMPT = Prompt(
  examples=(Example(text="Bern is a city.", query="What is it?"),)
)


def ask(**fields):
  given = {"docno": "d1", "text": "The Aare flows through Bern.", "n": 3}
  return Ask(prompt=PROMPT, **given | fields)


@pytest.fixture
def server(chat_server):
  return chat_server


@pytest.fixture
def waits():
  return []


@pytest.fixture
def endpoint(server, waits):
  found = Endpoint(
    server.url,
    model="m",
    decoding=Decoding(temperature=0.5, max_tokens=20),
    service=Service(tries=4, timeout=0.3),
    sleep=waits.append,
  )
  yield found
  found.close()


def test_n_answers_come_in_one_request(server, endpoint):
  (answer,) = endpoint.complete([ask()])
  assert answer.texts == (
    "What of The 0?",
    "What of Aare 1?",
    "What of flows 2?",
  )
  assert (answer.prompt_tokens, answer.completion_tokens) == (100, 21)
  (body,) = server.requests
  assert (body["n"], body["model"], body["max_tokens"]) == (3, "m", 20)
  roles = [message["role"] for message in body["messages"]]
  assert roles == ["system", "user", "assistant", "user"]


def test_a_list_is_asked_for_in_one_answer(server, endpoint):
  listing = Prompt(examples=PROMPT.examples, as_list=True)
  endpoint.complete([Ask(prompt=listing, docno="d", text="Bern.", n=5)])
  (body,) = server.requests
  assert (body["n"], body["max_tokens"]) == (1, 100)
  assert "Write 5 different ones" in body["messages"][0]["content"]


@pytest.mark.parametrize("fault", [500, 503, 429, 408, "hang", "die", "cut"])
def test_what_may_pass_is_tried_again(server, endpoint, waits, fault):
  server.faults = [fault, fault]
  (answer,) = endpoint.complete([ask()])
  assert len(answer.texts) == 3
  assert len(server.requests) == 3
  assert 0.7 < waits[0] < 1.3 and 1.4 < waits[1] < 2.6


def test_retry_after_is_obeyed(server, endpoint, waits):
  server.faults, server.retry_after = [429], "7"
  endpoint.complete([ask()])
  assert waits == [7.0]


def test_retry_after_may_be_a_date(server, endpoint, waits):
  until = email.utils.formatdate(time.time() + 30, usegmt=True)
  server.faults, server.retry_after = [429], until
  endpoint.complete([ask()])
  assert 20 < waits[0] < 31


def test_a_wait_of_hours_ends_the_run(server, endpoint, waits):
  server.faults, server.retry_after = [429], "7200"
  with pytest.raises(EndpointError, match=r"wait 7,200 s.*is kept"):
    endpoint.complete([ask()])
  assert not waits


def test_tries_are_bounded(server, endpoint, waits):
  server.faults = ["hang"] * 9
  with pytest.raises(EndpointError, match=r"failed 4 times.*timed out"):
    endpoint.complete([ask()])
  assert len(server.requests) == 4 and len(waits) == 3


@pytest.mark.parametrize(
  ("status", "advice"),
  [
    (401, "valid key into OPENAI_API_KEY"),
    (404, "mostly ends in /v1"),
    (400, "not like this"),
  ],
)
def test_a_refusal_is_not_tried_again(server, endpoint, status, advice):
  server.faults = [status]
  with pytest.raises(EndpointError, match=advice) as error:
    endpoint.complete([ask()])
  assert f"answered {status}" in str(error.value)
  assert len(server.requests) == 1


def test_a_web_page_is_named(server, endpoint):
  server.faults = ["prose"]
  with pytest.raises(EndpointError, match=r"no chat completion: '<html>"):
    endpoint.complete([ask()])


@pytest.mark.parametrize(
  "body",
  [
    [],
    {"choices": None},
    {"choices": [None]},
    {"choices": [{"message": "x"}]},
    {"choices": [{"message": {"content": 3}}]},
    {"choices": [{"message": {"content": ["x"]}}]},
    {"choices": [], "usage": [1]},
    {"choices": [], "usage": {"prompt_tokens": "many"}},
  ],
)
def test_odd_bodies_are_named(server, endpoint, body):
  server.faults = [json.dumps(body).encode()]
  with pytest.raises(EndpointError, match="no chat completion"):
    endpoint.complete([ask()])


@pytest.mark.parametrize(
  ("content", "text"),
  [
    ("who \ud83d", "who ?"),  # half an emoji
    ([{"type": "text", "text": "who "}, {"text": "sings?"}], "who sings?"),
    (None, ""),
  ],
)
def test_texts_that_can_be_kept(server, endpoint, content, text):
  body = {"choices": [{"message": {"content": content}}], "usage": None}
  server.faults = [json.dumps(body).encode()]
  assert endpoint.complete([ask()]) == [Answer(texts=(text,))]


def test_a_document_may_be_refused_where_others_were_not(server, endpoint):
  server.faults = [None, 413, 400, None]
  answers = [endpoint.complete([ask()])[0] for _ in range(4)]
  assert [len(answer.texts) for answer in answers] == [3, 0, 0, 3]


def test_many_refused_in_a_row_end_the_run(server, endpoint):
  server.faults = [None] + [422] * 5
  for _ in range(5):
    endpoint.complete([ask()])
  with pytest.raises(EndpointError, match=r"'d1'.*--document_words"):
    endpoint.complete([ask()])


def test_an_earlier_run_may_have_shown_that_it_answers(server):
  server.faults = [413]
  proven = Endpoint(server.url, model="m", decoding=Decoding(), proven=True)
  assert proven.complete([ask()]) == [Answer(texts=())]
  proven.close()


def test_nobody_listening(server, endpoint):
  server.close()
  server.close = lambda: None
  with pytest.raises(EndpointError, match="Connection error"):
    endpoint.complete([ask()])


def test_key_and_extra_fields_are_sent(server, monkeypatch):
  monkeypatch.setenv("MY_KEY", "secret")
  service = Service(
    key_variable="MY_KEY",
    extra={"max_tokens": None, "max_completion_tokens": 9},
  )
  Endpoint(
    server.url, model="m", decoding=Decoding(), service=service
  ).complete([ask()])
  headers = {name.lower(): value for name, value in server.headers[0].items()}
  assert headers["authorization"] == "Bearer secret"
  (body,) = server.requests
  assert "max_tokens" not in body and body["max_completion_tokens"] == 9


def test_settings_are_checked():
  with pytest.raises(ConfigError, match="tries 0"):
    Service(tries=0)
