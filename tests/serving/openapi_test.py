import pytest

from genret.serving import openapi, schemas


@pytest.fixture
def description(client):
  found = client.get("/openapi.json")
  assert found.status == 200
  return found.json


def test_every_route_of_the_service_is_described(client, description):
  served = {
    route.path.replace(":path", "")
    for route in client.app.routes
    if route.path not in ("/", "/static/{name}", "/openapi.json")
  }
  assert served == set(description["paths"])


def test_bodies_are_described_by_what_checks_them(client, description):
  for path, schema in (
    ("/search", client.service.search_schema),
    ("/explain", client.service.explain_schema),
  ):
    body = description["paths"][path]["post"]["requestBody"]["content"]
    assert body == {"application/json": {"schema": schema}}


@pytest.mark.parametrize(
  ("path", "body"),
  [
    ("/search", {"query": "a river"}),
    ("/explain", {"query": "a river"}),
    ("/documents/{docno}", None),
    ("/health", None),
  ],
)
def test_answers_have_the_described_fields(client, description, path, body):
  if body:
    found = client.post(path, body).json
  else:
    found = client.get(path.format(docno="d1")).json
  [operation] = description["paths"][path].values()
  content = operation["responses"]["200"]["content"]["application/json"]
  conforms(found, content["schema"], description)


def conforms(value, schema, description):
  """Checks fields and types, as far as the description has them."""
  if "$ref" in schema:
    name = schema["$ref"].rpartition("/")[2]
    schema = description["components"]["schemas"][name]
  kind = schema["type"]
  if kind == "number":
    assert isinstance(value, (int, float))
    return
  assert isinstance(value, schemas._TYPES.get(kind, bool)), (value, schema)
  if kind == "object":
    assert sorted(value) == sorted(schema["properties"])
    for name, item in value.items():
      conforms(item, schema["properties"][name], description)
  elif kind == "array":
    assert value
    for item in value:
      conforms(item, schema["items"], description)


def test_a_token_is_described_where_there_is_one(make_client):
  description = make_client(token="0123456789abcdef").get("/openapi.json").json
  assert description["security"] == [{"token": []}]
  assert description["paths"]["/health"]["get"]["security"] == []
  assert "401" in description["paths"]["/search"]["post"]["responses"]
  assert "401" not in description["paths"]["/health"]["get"]["responses"]


def test_faults_are_all_worded():
  assert set(openapi._OF_BODIES) <= set(openapi.FAULTS)
