import pytest

from genret.querygen import reading
from genret.querygen.prompting import Example, Prompt

ASKING = Prompt(examples=(Example(text="a b", query="Who wrote the letters?"),))
DOCUMENT = "The tower was built by Gustave Eiffel, and was opened in 1889."


@pytest.mark.parametrize(
  ("text", "query"),
  [
    ("Who built it?", "Who built it?"),
    ('\n  "Who built it?" \n\nIt was Eiffel.', "Who built it?"),
    ("Question: who built it", "who built it"),
    ("1. **Who built it?**", "Who built it?"),
    ("", ""),
    (" \n ", ""),
  ],
)
def test_one_query(text, query):
  assert reading.queries(text) == [query]


@pytest.mark.parametrize(
  "text",
  [
    "Sure! Here are two:\n\n1. who built it\n2. when was it\n\nEnjoy!",
    "- who built it\n- when was it",
    "who built it\nwhen was it",
    'The queries:\n["who built it", "when was it"]',
    '```json\n[\n "who built it",\n "when was it"\n]\n```',
    '1. who built it\n2. when was it\n(left out: [] and ["dates"])',
    '```["who built it", "when was it"]```',
    "Q1: who built it\nQ2: when was it",
  ],
)
def test_a_list(text):
  found = reading.queries(text, as_list=True)
  assert found == ["who built it", "when was it"]


@pytest.mark.parametrize("text", ["", "[]", "[1, 2]", "[who, what"])
def test_a_broken_list_is_no_query(text):
  found = reading.queries(text, as_list=True)
  assert {reading.fault(query, DOCUMENT, ASKING) for query in found} <= {
    "empty",
    "no_question",
  }


@pytest.mark.parametrize(
  ("query", "fault"),
  [
    ("Who opened the tower?", None),
    ("", "empty"),
    ("?!", "empty"),
    ("Sure! What would you like to know?", "prose"),
    ("word " * 50 + "?", "prose"),
    ("The tower is high.", "no_question"),
    ("What is this short passage about?", "refers"),
    ("According to the passage, who built it?", "refers"),
    ("Who does the text say built it?", "refers"),
    ("Who wrote the text editor Vim?", None),
    ("What was the text of the treaty?", None),
    ("who wrote THE letters?", "example"),
    ("was built by gustave eiffel, and?", "copy"),
    ("Gustave Eiffel?", None),
  ],
)
def test_faults(query, fault):
  assert reading.fault(query, DOCUMENT, ASKING) == fault


def test_keywords_may_be_queries_where_examples_are():
  words = Prompt(examples=(Example(text="a", query="letters author"),))
  assert reading.fault("tower paris height", DOCUMENT, words) is None
