import re

import hypothesis
import pytest
from hypothesis import strategies as st

from genret.serving import schemas
from genret.serving.faults import Fault
from genret.serving.limits import Limits

LIMITS = Limits(query_characters=20, queries=2, waiting=64, k=50)
SEARCH = schemas.search_schema(LIMITS, (1, 10), 10)
EXPLAIN = schemas.explain_schema(LIMITS, (1, 10), 10)


def test_what_is_left_away_has_defaults():
  assert schemas.check({"query": "who"}, SEARCH) == {
    "query": "who",
    "k": 10,
    "num_beams": 10,
    "system": "genret",
  }
  assert schemas.check({"query": "who", "num_beams": 1}, EXPLAIN) == {
    "query": "who",
    "num_beams": 1,
    "dropped": 5,
  }


def test_a_whole_number_is_an_integer_however_it_is_written():
  found = schemas.check({"query": "who", "k": 3.0}, SEARCH)
  assert found["k"] == 3 and isinstance(found["k"], int)


@pytest.mark.parametrize(
  ("body", "message"),
  [
    ([], "the body is a list; expected an object"),
    (None, "the body is null; expected an object"),
    ({}, "expected either 'query' or 'queries'; neither came"),
    ({"query": "a", "queries": ["a"]}, "both came"),
    ({"query": 3}, "query is 3; expected a string"),
    ({"query": ""}, "query is empty; expected a text"),
    ({"query": " \t\n"}, "query is empty; expected a text"),
    ({"query": "a\0b"}, "query holds the character NUL"),
    ({"query": "a\ud800"}, "half of a surrogate pair"),
    ({"query": "a" * 21}, "query has 21 characters; expected at most 20"),
    ({"queries": []}, "queries has 0 items; expected 1 to 2"),
    ({"queries": ["a"] * 3}, "queries has 3 items; expected 1 to 2"),
    ({"queries": ["a", 1]}, r"queries\[1\] is 1; expected a string"),
    ({"query": "a", "k": 0}, "k is 0; expected 1 to 50"),
    ({"query": "a", "k": -1}, "k is -1; expected 1 to 50"),
    ({"query": "a", "k": 51}, "k is 51; expected 1 to 50"),
    ({"query": "a", "k": 10**99}, "k is an integer of many digits"),
    ({"query": "a", "k": 1.5}, "k is 1.5; expected an integer"),
    ({"query": "a", "k": 1e300}, "k is an integer of many digits"),
    ({"query": 3.0}, "query is 3; expected a string"),
    ({"query": "a", "k": True}, "k is true; expected an integer"),
    ({"query": "a", "k": None}, "k is null; expected an integer"),
    ({"query": "a", "num_beams": 7}, "num_beams is 7; expected one of: 1, 10"),
    ({"query": "a", "system": "x"}, "'x'; expected one of: genret, bm25"),
    ({"query": "a", "beams": 1}, "unknown field 'beams'. Did you mean"),
  ],
)
def test_wrong_values_are_one_line(body, message):
  with pytest.raises(Fault, match=message) as fault:
    schemas.check(body, SEARCH)
  assert fault.value.status == 422 and "\n" not in fault.value.message


def test_a_missing_field_is_named():
  with pytest.raises(Fault, match="query is missing"):
    schemas.check({}, EXPLAIN)


@hypothesis.given(st.text(max_size=22))
def test_the_pattern_of_texts_says_what_is_checked(text):
  schema = schemas.text_schema(LIMITS)
  described = (
    schema["minLength"] <= len(text) <= schema["maxLength"]
    and re.search(schema["pattern"], text) is not None
  )
  try:
    schemas.check({"query": text}, EXPLAIN)
    checked = True
  except Fault:
    checked = False
  assert checked == described
