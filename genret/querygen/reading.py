"""Reads queries out of what a language model answered."""

import json
import re
from typing import Literal

from genret.querygen.prompting import Prompt
from genret.querygen.words import words

MOST_WORDS = 40
COPY_WORDS = 5  # fewer may stand in the document and be a query all the same

Fault = Literal["empty", "prose", "no_question", "refers", "copy", "example"]
"""Why an answer is no query: there is nothing; it is talk or too long; it is
no question, where all examples are; it speaks of "the passage", which nobody
sees who asks; it stands in the document; it is an example's."""

_ITEM = re.compile(r"^\s*(?:\(?\d{1,3}[.):]|[-*•])\s+")
_LABEL = re.compile(
  r"^(?:q|query|question)(?:\s*\d+)?\s*[:.]\s*", re.IGNORECASE
)
_TALK = re.compile(
  r"^(?:sure|certainly|of course|okay|ok|here(?:'s| is| are)|i['’]m sorry"
  r"|i am sorry|sorry|as an ai|i can(?:no|')t|you(?:['’]ve| have| are))\b",
  re.IGNORECASE,
)
_REFERS = re.compile(
  r"\b(?:this|the|above|given|following)\s+"
  r"(?:(?:short|above|given|following|provided|entire|whole|same)\s+)?"
  r"(?:passages?|paragraphs?|text|sentences?|questions?|excerpt)\b"
  r"(?=\W*$|\s*[,;:]|\s+(?:about|above|as|do|does|did|is|are|was|were"
  r"|says?|said|mentions?|mentioned|describes?|discuss(?:es)?|states?|refers?"
  r"|suggests?|tells?|talks?|explains?|gives?|provides?|answers?)\b)",
  re.IGNORECASE,
)
_QUOTES = "\"'“”‘’`*"


def queries(text: str, *, as_list: bool = False) -> list[str]:
  r"""Finds the queries in an answer.

  >>> queries("Question: Who was Ada Lovelace?\nShe was a mathematician.")
  ['Who was Ada Lovelace?']
  >>> queries("Here are two:\n1. who was ada\n2) \"when was ada born\"",
  ...         as_list=True)
  ['who was ada', 'when was ada born']
  >>> queries('```json\n["who was ada"]\n```', as_list=True)
  ['who was ada']

  Args:
    text: the answer.
    as_list: whether a list was asked for: JSON, or a line a query. Where some
      lines are numbered, the others are talk; JSON in talk comes after these.

  Returns:
    The queries, one where no list was asked for; an answer of nothing gives
    one that is empty.
  """
  lines = [line for line in text.splitlines() if line.strip(" `\t")]
  if not as_list:
    return [_cleaned(lines[0])] if lines else [""]
  rest = [line for line in lines if not line.strip().startswith("```")]
  found = _json_list(text)
  if not (found and rest and rest[0].lstrip().startswith("[")):
    items = [line for line in lines if _ITEM.match(line)]
    found = items or found or rest
  return [_cleaned(item) for item in found] or [""]


def fault(query: str, document: str, prompt: Prompt) -> Fault | None:
  """Says why a text is no query for a document; None where it is one.

  >>> prompt = Prompt()
  >>> fault("Sure! I can do that.", "Bern lies on the Aare.", prompt)
  'prose'
  >>> fault("What is the passage about?", "Bern lies on the Aare.", prompt)
  'refers'
  >>> fault("Where does Bern lie?", "Bern lies on the Aare.", prompt) is None
  True
  """
  found = words(query)
  if not found:
    return "empty"
  if len(found) > MOST_WORDS or _TALK.match(query):
    return "prose"
  asked = [example.query.rstrip() for example in prompt.examples]
  if asked and all(q.endswith("?") for q in asked) and query[-1] != "?":
    return "no_question"
  if _REFERS.search(query):
    return "refers"
  if found in [words(q) for q in asked]:
    return "example"
  if len(found) >= COPY_WORDS and _stands_in(found, words(document)):
    return "copy"
  return None


def _cleaned(line: str) -> str:
  line = _LABEL.sub("", _ITEM.sub("", line).strip().strip(_QUOTES).strip())
  return " ".join(line.strip(_QUOTES).split())


def _json_list(text: str) -> list[str]:
  """Returns the texts from the first to the last bracket; [] if it is not."""
  start, end = text.find("["), text.rfind("]")
  try:
    found = json.loads(text[start : end + 1]) if start >= 0 else []
  except ValueError:
    return []
  return found if all(isinstance(item, str) for item in found) else []


def _stands_in(part: list[str], whole: list[str]) -> bool:
  return f" {' '.join(part)} " in f" {' '.join(whole)} "
