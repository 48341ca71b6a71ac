"""What requests look like, once: for the description and for the checks."""

from collections.abc import Sequence
from typing import Any

from genret.core.errors import suggest
from genret.serving.faults import Fault
from genret.serving.limits import Limits

SYSTEMS = ("genret", "bm25")
Schema = dict[str, Any]

_NAMES = {
  "string": "a string",
  "integer": "an integer",
  "array": "a list",
  "object": "an object",
}
_TYPES = {"string": str, "integer": int, "array": list, "object": dict}
_SHOWN = 40  # characters of a wrong value


def search_schema(
  limits: Limits, beams: Sequence[int], default_beams: int
) -> Schema:
  """Returns the JSON schema of the body of POST /search."""
  query = text_schema(limits)
  return {
    "type": "object",
    "properties": {
      "query": query,
      "queries": {
        "type": "array",
        "items": query,
        "minItems": 1,
        "maxItems": limits.queries,
      },
      "k": {
        "type": "integer",
        "minimum": 1,
        "maximum": limits.k,
        "default": min(10, limits.k),
        "description": "documents a query",
      },
      "num_beams": _beams(beams, default_beams),
      "system": {
        "type": "string",
        "enum": list(SYSTEMS),
        "default": SYSTEMS[0],
      },
    },
    "oneOf": [{"required": ["query"]}, {"required": ["queries"]}],
    "additionalProperties": False,
  }


def explain_schema(
  limits: Limits, beams: Sequence[int], default_beams: int
) -> Schema:
  """Returns the JSON schema of the body of POST /explain."""
  return {
    "type": "object",
    "properties": {
      "query": text_schema(limits),
      "num_beams": _beams(beams, default_beams),
      "dropped": {
        "type": "integer",
        "minimum": 0,
        "maximum": limits.dropped,
        "default": min(5, limits.dropped),
        "description": "prefixes shown of each length that were not kept",
      },
    },
    "required": ["query"],
    "additionalProperties": False,
  }


def text_schema(limits: Limits) -> Schema:
  """Returns the JSON schema of a query: some letters, and no NUL."""
  return {
    "type": "string",
    "minLength": 1,
    "maxLength": limits.query_characters,
    "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$",
  }


def _beams(beams: Sequence[int], default_beams: int) -> Schema:
  return {
    "type": "integer",
    "enum": list(beams),
    "default": default_beams,
    "description": "docids kept a step",
  }


def check(body: Any, schema: Schema) -> dict[str, Any]:
  """Checks the body of a request.

  Args:
    body: What its JSON says.
    schema: As made above.

  Returns:
    The body, with the defaults of what it leaves away.

  Raises:
    Fault: 422, with one line that says what was expected and what came.
  """
  body = _whole(body)
  _check(body, schema, "the body")
  properties = schema["properties"]
  alternatives = [rule["required"][0] for rule in schema.get("oneOf", ())]
  if alternatives and sum(name in body for name in alternatives) != 1:
    both = all(name in body for name in alternatives)
    found = "both" if both else "neither"
    raise _wrong(
      f"expected either {' or '.join(map(repr, alternatives))}; {found} came"
    )
  defaults = {
    name: rule["default"]
    for name, rule in properties.items()
    if "default" in rule
  }
  return defaults | body


def _whole(body: Any) -> Any:
  """Returns a body in which 3.0 is the integer that JSON Schema says it is."""
  if not isinstance(body, dict):
    return body
  return {
    name: int(value)
    if isinstance(value, float) and value.is_integer()
    else value
    for name, value in body.items()
  }


def _check(value: Any, schema: Schema, name: str) -> None:
  kind = schema["type"]
  right = isinstance(value, _TYPES[kind]) and not isinstance(value, bool)
  if not right:
    raise _wrong(f"{name} is {shown(value)}; expected {_NAMES[kind]}")
  if "enum" in schema and value not in schema["enum"]:
    expected = ", ".join(map(str, schema["enum"]))
    raise _wrong(f"{name} is {shown(value)}; expected one of: {expected}")
  _CHECKS[kind](value, schema, name)


def _check_integer(value: int, schema: Schema, name: str) -> None:
  low, high = schema.get("minimum"), schema.get("maximum")
  if (low is not None and value < low) or (high is not None and value > high):
    raise _wrong(f"{name} is {shown(value)}; expected {low} to {high}")


def _check_string(value: str, schema: Schema, name: str) -> None:
  if "enum" in schema:
    return
  if len(value) > schema["maxLength"]:
    raise _wrong(
      f"{name} has {len(value):,} characters; expected at most"
      f" {schema['maxLength']:,}"
    )
  if not value.strip():
    raise _wrong(f"{name} is empty; expected a text")
  if "\0" in value:
    raise _wrong(f"{name} holds the character NUL; expected a text")
  try:
    value.encode("utf-8")
  except UnicodeEncodeError:
    raise _wrong(
      f"{name} holds half of a surrogate pair; expected Unicode text"
    ) from None


def _check_array(value: list, schema: Schema, name: str) -> None:
  low, high = schema["minItems"], schema["maxItems"]
  if not low <= len(value) <= high:
    raise _wrong(f"{name} has {len(value):,} items; expected {low} to {high}")
  for number, item in enumerate(value):
    _check(item, schema["items"], f"{name}[{number}]")


def _check_object(value: dict, schema: Schema, name: str) -> None:
  del name
  properties = schema["properties"]
  for key in value:
    if key not in properties:
      near = suggest(key[:_SHOWN], properties)
      raise _wrong(f"unknown field {shown(key)}.{near}")
  for key in schema.get("required", ()):
    if key not in value:
      raise _wrong(f"{key} is missing; expected {key!r} in the body")
  for key, item in value.items():
    _check(item, properties[key], key)


_CHECKS = {
  "integer": _check_integer,
  "string": _check_string,
  "array": _check_array,
  "object": _check_object,
}


def shown(value: Any) -> str:
  """Words a wrong value, in one short line.

  >>> shown("a" * 99)
  "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…"
  >>> shown([1, 2]), shown(None), shown(True), shown(10 ** 99)
  ('a list', 'null', 'true', 'an integer of many digits')
  """
  if isinstance(value, (list, dict)):
    return "a list" if isinstance(value, list) else "an object"
  if value is None or isinstance(value, bool):
    return {None: "null", True: "true", False: "false"}[value]
  if isinstance(value, int) and abs(value) >= 10**_SHOWN:
    return "an integer of many digits"
  text = repr(value[:_SHOWN] if isinstance(value, str) else value)
  return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _wrong(message: str) -> Fault:
  return Fault(422, message)
