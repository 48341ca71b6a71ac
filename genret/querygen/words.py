"""Words of queries and documents, and runs that one has from the other."""

import re
from collections.abc import Mapping, Sequence

from genret.core.text import normalise_query

# Scripts that set no blanks give a word a character: ideographs and kana.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def words(text: str) -> list[str]:
  """Cuts a text into its words, without case, accents' forms, punctuation.

  >>> words("When was the Maxim-gun built?")
  ['when', 'was', 'the', 'maxim', 'gun', 'built']
  >>> words("東京タワー 1958")
  ['東', '京', 'タ', 'ワ', 'ー', '1958']
  """
  return _WORD.findall(normalise_query(text))


def places(text: Sequence[str]) -> dict[str, list[int]]:
  """Says where each word of a text stands.

  >>> places(["to", "be", "or", "not", "to", "be"])
  {'to': [0, 4], 'be': [1, 5], 'or': [2], 'not': [3]}
  """
  found: dict[str, list[int]] = {}
  for place, word in enumerate(text):
    found.setdefault(word, []).append(place)
  return found


def longest_run(
  query: Sequence[str], places: Mapping[str, Sequence[int]]
) -> int:
  """Counts the words of the longest n-gram that a query shares with a text.

  >>> text = words("The house was built in 1851 by Paxton.")
  >>> longest_run(words("Who built, in 1851, the house?"), places(text))
  3

  Each word of the query is looked at once, with the places it has in the
  text; a run goes on from the place before.

  Args:
    query: words of the query.
    places: of the words of the text, ascending, as `places` gives them.

  Returns:
    Words of the run; 0 where they share none.
  """
  best = 0
  before: dict[int, int] = {}  # place in the text -> words of the run there
  for word in query:
    before = {p: before.get(p - 1, 0) + 1 for p in places.get(word, ())}
    best = max(best, max(before.values(), default=0))
  return best
