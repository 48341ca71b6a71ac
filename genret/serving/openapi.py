"""The description of the service, as OpenAPI 3.1 has it."""

from collections.abc import Callable, Sequence
from typing import Any

import genret
from genret.serving.service import Service

_STRING = {"type": "string"}
_NUMBER = {"type": "number"}
_COUNT = {"type": "integer", "minimum": 0}
_TRUTH = {"type": "boolean"}

# Status -> what it says, of answers other than 200.
FAULTS = {
  400: "the body is no JSON, or no UTF-8",
  401: "the token is missing, or another one",
  404: "there is no such document",
  408: "the body did not arrive in time",
  413: "the body is too long",
  415: "the body is no application/json",
  421: "the request names another host than the service's",
  422: "a field is missing, unknown, or has a wrong value",
  429: "too many queries are waiting; Retry-After says for how long",
  500: "a fault of the service",
  503: "the service is stopping, or has too many connections",
  504: "there was no answer within the deadline",
}
_OF_ALL = (421, 500, 503)
_OF_BODIES = (400, 408, 413, 415, 422, 429, 504, *_OF_ALL)


def of(service: Service, locked: object) -> Callable[[], dict[str, Any]]:
  """Returns what describes a service.

  Args:
    service: The service.
    locked: Whatever is true if requests must bear a token.
  """
  described = _described(service, bool(locked))
  return lambda: described


def _described(service: Service, locked: bool) -> dict[str, Any]:
  token = (401,) if locked else ()
  hits = _list(_ref("Hit"))
  paths = {
    "/search": {
      "post": _asked(
        "Ranks documents for queries.",
        body=service.search_schema,
        found={
          "system": _STRING,
          "k": _COUNT,
          "num_beams": _COUNT,
          "milliseconds": _NUMBER,
          "results": _list(_object({"query": _STRING, "hits": hits})),
        },
        faults=(*token, *_OF_BODIES),
      )
    },
    "/explain": {
      "post": _asked(
        "Shows what the search kept and what it dropped, length by length.",
        body=service.explain_schema,
        found={
          "query": _STRING,
          "scheme": _STRING,
          "scoring": _STRING,
          "num_beams": _COUNT,
          "milliseconds": _NUMBER,
          "levels": _list(_ref("Level")),
          "hits": hits,
        },
        faults=(*token, *_OF_BODIES),
      )
    },
    "/documents/{docno}": {
      "get": _document(faults=(*token, 404, *_OF_ALL)),
    },
    "/health": {
      "get": {
        **_answers("Says what is served.", _HEALTH, faults=_OF_ALL),
        **({"security": []} if locked else {}),
      }
    },
    "/metrics": {"get": _metrics(faults=(*token, *_OF_ALL))},
  }
  return {
    "openapi": "3.1.0",
    "info": {
      "title": "genret",
      "version": genret.__version__,
      "description": "A T5 model is the whole search index.",
    },
    "paths": paths,
    "components": _components(locked),
    **({"security": [{"token": []}]} if locked else {}),
  }


def _asked(
  summary: str,
  *,
  body: dict[str, Any],
  found: dict[str, Any],
  faults: Sequence[int],
) -> dict[str, Any]:
  content = {"application/json": {"schema": body}}
  return {
    **_answers(summary, found, faults=faults),
    "requestBody": {"required": True, "content": content},
  }


def _answers(
  summary: str, found: dict[str, Any], *, faults: Sequence[int]
) -> dict[str, Any]:
  content = {"application/json": {"schema": _object(found)}}
  answers = {"200": {"description": "the answer", "content": content}}
  return {"summary": summary, "responses": answers | _responses(faults)}


def _document(*, faults: Sequence[int]) -> dict[str, Any]:
  found = {name: _STRING for name in ("docno", "title", "text", "docid")}
  docno = {
    "name": "docno",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
  }
  return {
    **_answers("Returns a document whole.", found, faults=faults),
    "parameters": [docno],
  }


def _metrics(*, faults: Sequence[int]) -> dict[str, Any]:
  content = {"text/plain": {"schema": _STRING}}
  answers = {"200": {"description": "for Prometheus", "content": content}}
  return {"summary": "Counts.", "responses": answers | _responses(faults)}


def _responses(faults: Sequence[int]) -> dict[str, Any]:
  content = {"application/json": {"schema": _ref("Error")}}
  return {
    str(status): {"description": FAULTS[status], "content": content}
    for status in sorted(faults)
  }


def _components(locked: bool) -> dict[str, Any]:
  components: dict[str, Any] = {
    "schemas": {
      "Error": _object({"error": _STRING}),
      "Hit": _object(_HIT),
      "Level": _object(
        {
          "depth": _COUNT,
          "candidates": _COUNT,
          "nodes": _list(_ref("Node")),
        }
      ),
      "Node": _object(_NODE),
    }
  }
  if locked:
    components["securitySchemes"] = {
      "token": {"type": "http", "scheme": "bearer"}
    }
  return components


def _object(properties: dict[str, Any]) -> dict[str, Any]:
  return {
    "type": "object",
    "properties": properties,
    "required": list(properties),
    "additionalProperties": False,
  }


def _list(items: dict[str, Any]) -> dict[str, Any]:
  return {"type": "array", "items": items}


def _ref(name: str) -> dict[str, Any]:
  return {"$ref": f"#/components/schemas/{name}"}


_HIT = {
  "docno": _STRING,
  "score": {
    "type": "number",
    "description": "log-probability of the docid in nats; BM25's own for bm25",
  },
  "docid": {
    "type": "string",
    "description": "its symbols, as people read them",
  },
  "title": _STRING,
  "text": {"type": "string", "description": "how the document begins"},
  "truncated": {"type": "boolean", "description": "whether it goes on"},
}
_NODE = {
  "id": {"type": "string", "description": "the symbols of the prefix"},
  "parent": {"type": "string", "description": "an id; empty for the root"},
  "symbol": _COUNT,
  "label": {"type": "string", "description": "the symbol as people read it"},
  "score": {"type": "number", "description": "of the prefix, in nats"},
  "probability": {"type": "number", "minimum": 0},
  "kept": _TRUTH,
  "complete": _TRUTH,
  "documents": {"type": "integer", "description": "how many lie below"},
  "docnos": _list(_STRING),
}
_HEALTH = {
  "status": _STRING,
  "version": _STRING,
  "scheme": _STRING,
  "documents": _COUNT,
  "max_k": _COUNT,
  "num_beams": _list(_COUNT),
  "default_num_beams": _COUNT,
  "max_query_characters": _COUNT,
  "bm25": _TRUTH,
}
