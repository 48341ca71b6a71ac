import asyncio
import io
import json
import random
import string

import pytest

from genret.core.runs import Hit

TOKEN = "0123456789abcdef"


def test_a_search_finds_what_the_retriever_finds(client, index):
  found = client.post("/search", {"query": "a river", "k": 3})
  assert found.status == 200
  [hits] = index.retriever.search(["a river"], k=3, num_beams=4)
  [result] = found.json["results"]
  assert result["query"] == "a river"
  assert [
    Hit(docno=hit["docno"], score=hit["score"]) for hit in result["hits"]
  ] == hits


def test_bm25_is_beside_it(client):
  found = client.post("/search", {"queries": ["cats", "x"], "system": "bm25"})
  cats, none = found.json["results"]
  assert [hit["docno"] for hit in cats["hits"]] == ["d0"]
  assert none["hits"] == []


def test_an_explanation_is_served(client):
  found = client.post("/explain", {"query": "a river", "dropped": 0}).json
  assert found["query"] == "a river" and found["milliseconds"] > 0
  assert [level["depth"] for level in found["levels"]] == [1, 2]
  assert len(found["hits"]) == 4


def test_a_document_of_any_docno_is_found(client):
  found = client.get("/documents/common/^ é")
  assert found.status == 200 and found.json["docno"] == "common/^ é"
  missing = client.get("/documents/d99")
  assert missing.status == 404 and missing.error == "no document 'd99'"
  longer = client.get("/documents/d1\n")
  assert longer.status == 404 and longer.error == r"no document 'd1\n'"


def test_metrics_count_routes_and_not_addresses(make_client):
  client = make_client()
  client.get("/documents/d1")
  client.get("/anything")
  text = client.get("/metrics")
  assert text.headers["content-type"].startswith("text/plain")
  lines = text.content.decode().splitlines()
  route = 'route="/documents/{docno:path}",status="200"'
  assert f"genret_requests_total{{{route}}} 1.0" in lines
  assert 'genret_requests_total{route="other",status="404"} 1.0' in lines


def test_other_addresses_and_methods_are_told_in_json(client):
  assert client.get("/anything").status == 404
  assert client.get("/anything").error == "no such address"
  assert client.get("/health/").error == "no such address"  # and no redirect
  wrong = client.get("/search")
  assert wrong.status == 405 and wrong.headers["allow"] == "POST"
  assert wrong.error == "no such method here"
  assert client.get("/static/../app.py").status == 404
  assert client.get("/static/app.py").status == 404


def test_the_page_is_served_and_kept(client):
  page = client.get("/")
  assert page.status == 200
  assert page.headers["content-type"].startswith("text/html")
  again = client.get("/", if_none_match=page.headers["etag"])
  assert again.status == 304 and again.content == b""


def test_every_answer_has_the_headers_of_security(client):
  for found in (client.get("/"), client.get("/x"), client.post("/search", b"")):
    policy = found.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert found.headers["x-content-type-options"] == "nosniff"
    assert not any("access-control" in name for name in found.headers)


def test_a_token_opens_what_has_content(make_client):
  client = make_client(token=TOKEN)
  body = {"query": "cats", "system": "bm25"}
  for given in ({}, {"authorization": "Bearer x"}, {"authorization": TOKEN}):
    for found in (
      client.post("/search", body, **given),
      client.post("/explain", body, **given),
      client.get("/documents/d1", **given),
      client.get("/metrics", **given),
    ):
      assert found.status == 401 and "token" in found.error
      assert found.headers["www-authenticate"] == "Bearer"
  bearing = {"authorization": f"bearer {TOKEN}"}
  assert client.post("/search", body, **bearing).status == 200
  for open_to_all in ("/", "/health", "/openapi.json"):
    assert client.get(open_to_all).status == 200


def test_queries_are_logged_only_where_asked(make_client, capsys):
  log = io.StringIO()
  body = {"query": "cats\n\x1b[31m", "system": "bm25"}
  make_client(log=log).post("/search", body)
  make_client().post("/search", body)
  [line] = log.getvalue().splitlines()
  assert json.loads(line)["query"] == body["query"]
  assert json.loads(line)["route"] == "/search"
  assert capsys.readouterr() == ("", "")


class Broken:
  """An index with a fault."""

  scheme, num_documents, bm25 = "broken", 1, True

  def search_bm25(self, queries, *, k):
    raise RuntimeError(f"about {queries}")


def test_a_fault_of_ours_is_one_line_and_its_log_has_no_query(
  make_client, capsys
):
  body = {"query": "secret", "system": "bm25"}
  found = make_client(Broken()).post("/search", body)
  assert found.status == 500 and "log" in found.error
  error = capsys.readouterr().err
  assert "RuntimeError" in error and "search_bm25" in error
  assert "secret" not in error


def test_a_client_that_hangs_up_is_no_error(make_client, capsys):
  client = make_client()

  async def at_once():
    pass

  headers = {"content-type": "application/json"}
  found = asyncio.run(
    client.asked("POST", "/explain", b'{"query": "x"}', headers, at_once)
  )
  assert found.status == 499
  assert capsys.readouterr() == ("", "")


def malformed(count):
  """Yields bodies that no service should accept, of many kinds."""
  draw = random.Random(7)
  good = {"query": "cats", "k": 3, "num_beams": 4, "system": "bm25"}
  values = [None, True, -1, 0, 10**30, 1e99, 1.5, [], {}, [["x"]], "", " "]
  values += ["\0", "a\0", "\ud800", "x\udfff", "y" * 201, {"a": 1}, ["a"] * 9]
  text = json.dumps(good).encode()
  makers = [
    lambda: text[: draw.randrange(len(text))],
    lambda: bytes(draw.randrange(128, 256) for _ in range(9)) + text,
    lambda: text.replace(b"cats", bytes([draw.randrange(0x80, 0xC0)])),
    lambda: text + draw.choice(string.ascii_letters).encode(),
    lambda: b"[" * draw.randrange(1000, 19_000),
    lambda: b'{"query":' * draw.randrange(100, 2000),
    lambda: b'{"query": "' + b"z" * draw.randrange(20_000, 90_000) + b'"}',
    lambda: json.dumps(draw.choice(values)).encode(),
    lambda: json.dumps(
      good | {draw.choice(list(good)): draw.choice(values)}
    ).encode(),
    lambda: json.dumps({"queries": [draw.choice(values)]}).encode(),
    lambda: json.dumps({"queries": ["a"], "query": "b"}).encode(),
    lambda: json.dumps(good | {str(draw.random()): 1}).encode(),
    lambda: b'{"query": "a", "k": %s}' % (b"9" * draw.randrange(30, 9000)),
    lambda: b'{"query": "a", "k": NaN}',
    lambda: b'{"query": "a", "query": "b"}',
    lambda: "{'query': 'a'}".encode(draw.choice(["utf-8", "utf-16"])),
    lambda: b"\0" * draw.randrange(1, 99),
  ]
  for number in range(count):
    yield makers[number % len(makers)]()


@pytest.mark.parametrize("path", ["/search", "/explain"])
def test_a_thousand_malformed_bodies_are_each_told_in_a_line(client, path):
  statuses = []
  for body in malformed(500):
    found = client.post(path, body)
    assert 400 <= found.status < 500, body[:200]
    assert found.error
    statuses.append(found.status)
  assert {400, 413, 422} == set(statuses)
