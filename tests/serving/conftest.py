"""A service over a model that has learned nothing, called without a port."""

import asyncio
import json

import numpy as np
import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document
from genret.core.docid_table import DocidTable
from genret.retrieval.bm25 import BM25
from genret.retrieval.untrained import untrained
from genret.serving import app
from genret.serving.index import Index
from genret.serving.limits import Limits
from genret.serving.service import Service

NUM_DOCUMENTS = 12
LONG = "A long tale of a river that is told again and again. " * 8
DOCNOS = [f"d{i}" for i in range(NUM_DOCUMENTS - 1)] + ["common/^ é"]


def documents():
  return [
    Document(docno=docno, title=f"Title {i}", text=LONG if i else "A <b> cat.")
    for i, docno in enumerate(DOCNOS)
  ]


def save_collection(folder):
  """Writes the documents and one query as `genret prepare` does."""
  recipe = artifacts.Recipe(
    stage=collection.STAGE,
    arguments={"name": "tales"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(folder, recipe) as out:
    collection.write(
      out,
      documents=documents(),
      queries=[collection.Query(query_id="q1", text="which river")],
      qrels={"test": {"q1": {"d1": 1}}},
    )
  return Collection.open(folder)


@pytest.fixture(scope="session")
def tales(tmp_path_factory):
  """The collection that the model is of."""
  return save_collection(tmp_path_factory.mktemp("tales") / "tales")


@pytest.fixture(scope="session")
def table():
  codes = np.array([[2 + i // 4, 2 + i % 4] for i in range(NUM_DOCUMENTS)])
  return DocidTable(codes=codes, docnos=DOCNOS, vocab_size=6, scheme="pairs")


@pytest.fixture(scope="session")
def index(table, tales):
  return Index(
    untrained(table),
    collection=tales,
    bm25=BM25().fit(tales.documents()),
  )


class Client:
  """Calls an ASGI application in an event loop of its own."""

  def __init__(self, service, **options):
    self.service = service
    self.app = app.create(service, **options)
    service.batcher.start()

  def get(self, path, **headers):
    return self.ask("GET", path, b"", headers)

  def post(self, path, body, **headers):
    if not isinstance(body, bytes):
      body = json.dumps(body).encode()
    return self.ask(
      "POST", path, body, {"content-type": "application/json"} | headers
    )

  def ask(self, method, path, body, headers):
    return asyncio.run(self.asked(method, path, body, headers))

  async def asked(self, method, path, body, headers, hang_up=None):
    """Asks once; `hang_up` is awaited before the client disconnects."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]
    sent = []

    async def receive():
      if parts:
        return parts.pop(0)
      await (hang_up or asyncio.Event().wait)()
      return {"type": "http.disconnect"}

    async def send(message):
      sent.append(message)

    scope = {
      "type": "http",
      "asgi": {"version": "3.0"},
      "http_version": "1.1",
      "method": method,
      "path": path,
      "raw_path": path.encode(),
      "query_string": b"",
      "root_path": "",
      "scheme": "http",
      "server": ("localhost", 80),
      "client": ("localhost", 1),
      "headers": [
        (name.replace("_", "-").encode(), value.encode())
        for name, value in headers.items()
      ],
    }
    await self.app(scope, receive, send)
    return Answered(sent)


class Answered:
  """What an application sent."""

  def __init__(self, sent):
    self.status = sent[0]["status"]
    self.headers = {n.decode(): v.decode() for n, v in sent[0]["headers"]}
    self.content = b"".join(m.get("body", b"") for m in sent[1:])

  @property
  def json(self):
    return json.loads(self.content)

  @property
  def error(self):
    """The one clear line of an answer that is not 200."""
    found = self.json
    assert list(found) == ["error"]
    assert found["error"] and "\n" not in found["error"]
    assert len(found["error"]) < 300
    return found["error"]


@pytest.fixture(scope="session")
def make_client(index):
  """Makes a client of a service; settings are those of `Limits`."""

  def make(served=index, token=None, log=None, beams=(2, 4), **limits):
    service = Service(
      served,
      limits=Limits(**limits),
      beams=beams,
      num_beams=beams[-1],
      window=0,
    )
    return Client(service, token=token, log=log)

  return make


@pytest.fixture(scope="session")
def client(make_client):
  return make_client(body_bytes=20_000, query_characters=200, queries=4)
