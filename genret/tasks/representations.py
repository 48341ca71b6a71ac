"""Representations: what the model reads for a document when indexing.

Pure functions on texts and ids; nothing here imports TensorFlow.
"""

import re
from collections.abc import Sequence

import numpy as np

# A run of marks or of white space is tried once, from where it begins: a text
# of nothing else would take the square of its length.
_END = re.compile(
  r"""(?<![.!?…])[.!?…]++["'”’)\]]*+\s+  # a mark, closing quotes, white space
  | [。！？]+["'”’）」』]*      # full-width marks need no white space
  | (?<!\s)\s*\n\s*          # a line is never continued
  """,
  re.VERBOSE,
)
_LAST_WORD = re.compile(r"(\w(?:[\w.]*\w)?)\.\s+$")
_ABBREVIATIONS = frozenset(
  "mr mrs ms dr prof st jr sr gen col lt sgt capt rev hon gov sen rep "
  "no vs cf fig vol pp ed e.g i.e u.s u.k ca approx".split()
)


def sentences(text: str, *, min_words: int = 1) -> list[str]:
  """Splits a text into sentences, and leaves out the short ones.

  A sentence ends at a full stop, question or exclamation mark that white
  space follows, unless the next word begins in lower case or the stop
  belongs to an initial or a common abbreviation; and at a line break.

  >>> sentences("Dr. J. Doe came. He saw 3.5 km! of road. Why?")
  ['Dr. J. Doe came.', 'He saw 3.5 km! of road.', 'Why?']
  >>> sentences("It rained. Nobody went out that day.", min_words=3)
  ['Nobody went out that day.']

  Args:
    text: a text.
    min_words: the fewest words, split at white space, of a sentence kept.

  Returns:
    The sentences, in order, stripped.
  """
  found, start = [], 0
  for match in _END.finditer(text):
    if _ends_sentence(text, match):
      found.append(text[start : match.end()].strip())
      start = match.end()
  found.append(text[start:].strip())
  return [s for s in found if s and len(s.split()) >= min_words]


def spans(
  ids: Sequence[int],
  *,
  count: int,
  length: int,
  rng: np.random.Generator,
  min_length: int | None = None,
) -> list[list[int]]:
  """Draws random spans of a row of ids ("document as query", DaQ).

  Each start is equally likely. A row no longer than a span is drawn whole
  each time, so that every document is read equally often.

  >>> rng = np.random.default_rng(0)
  >>> spans([3, 4, 5, 6, 7], count=3, length=2, rng=rng)
  [[6, 7], [5, 6], [5, 6]]
  >>> spans([3, 4], count=2, length=64, rng=rng)
  [[3, 4], [3, 4]]

  Args:
    ids: the whole document, without EOS.
    count: how many spans.
    length: ids in a span.
    rng: the source of randomness.
    min_length: when given, each span's length is drawn from min_length to
      length, both included.

  Returns:
    The spans, in the order drawn; none for an empty row.
  """
  if not ids:
    return []
  shortest = length if min_length is None else min_length
  sizes = rng.integers(shortest, length, size=count, endpoint=True)
  sizes = np.minimum(sizes, len(ids))
  starts = rng.integers(0, len(ids) - sizes, endpoint=True)
  return [
    list(ids[start : start + size])
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)
  ]


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
  if "\n" in match[0] or not match[0][-1].isspace():
    return True
  if match.end() < len(text) and text[match.end()].islower():
    return False
  word = _LAST_WORD.search(text, max(0, match.start() - 16), match.end())
  if word is None:
    return True
  initial = len(word[1]) == 1 and word[1].isupper()
  return not initial and word[1].lower() not in _ABBREVIATIONS
