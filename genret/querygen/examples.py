"""Examples of prompts: from a file, or drawn from a collection's labels."""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from genret.core.collection import Collection
from genret.core.errors import ConfigError, DataError
from genret.querygen.prompting import MAX_EXAMPLES, Example

MOST_WORDS = 60
"""Documents with more words are drawn only where there are too few others: an
example is to show what a query is, and each symbol of it is attended to."""


def read(path: Path) -> tuple[Example, ...]:
  """Reads examples from a file.

  Args:
    path: JSON objects, one a line, with the strings `text` and `query`, and
      as they may be `docno` and the integer `grade`.

  Raises:
    DataError: says file and line of what is wrong.
  """
  try:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
  except (OSError, UnicodeDecodeError) as error:
    raise DataError(f"examples cannot be read: {error}", path=path) from error
  found = [
    _parsed(line, path, number)
    for number, line in enumerate(lines, start=1)
    if line.strip()
  ]
  if not 1 <= len(found) <= MAX_EXAMPLES:
    raise DataError(
      f"{len(found)} examples; expected 1 to {MAX_EXAMPLES}", path=path
    )
  return tuple(found)


def drawn(
  collection: Collection,
  *,
  split: str,
  number: int,
  seed: int,
  graded: bool = False,
) -> tuple[Example, ...]:
  """Draws examples from labelled queries, each of a document of its own.

  Args:
    collection: whose queries and documents they are.
    split: of the queries; never one that results are reported on.
    number: of examples.
    seed: of the draw.
    graded: whether the examples carry their grades; those of grade 0 are drawn
      too then, and the grades take turns.

  Raises:
    ConfigError: the split has no such pairs.
  """
  if not number:
    return ()
  pairs = _pairs(collection, split, graded=graded)
  if not pairs:
    raise ConfigError(
      f"Split {split!r} of collection {collection.name!r} has no labelled"
      " queries to draw examples from. Give a file of --examples."
    )
  order = np.random.default_rng(seed).permutation(len(pairs))
  rows = collection.docnos.find([pairs[i][0] for i in order.tolist()])
  grades = {pair[2] for pair in pairs}
  found: list[Example] = []
  spare: list[Example] = []
  seen: set[str] = set()
  for i, row in zip(order.tolist(), rows.tolist(), strict=True):
    docno, query, grade = pairs[i]
    if row < 0 or docno in seen or (graded and not _turn(found, grade, grades)):
      continue
    (document,) = collection.documents([row])
    if not document.contents:
      continue
    seen.add(docno)
    example = Example(
      text=document.contents,
      query=query,
      docno=docno,
      grade=grade if graded else None,
    )
    short = len(document.contents.split()) <= MOST_WORDS
    (found if short else spare).append(example)
    if len(found) == number:
      break
  return tuple([*found, *_shortest(spare)][:number])


def _pairs(
  collection: Collection, split: str, *, graded: bool
) -> list[tuple[str, str, int]]:
  """Lists docno, query and grade of a split's judgements."""
  qrels = collection.qrels(split)
  least = 0 if graded else 1
  return [
    (docno, query.text, grade)
    for query in collection.queries(split)
    for docno, grade in qrels[query.query_id].items()
    if grade >= least
  ]


def _turn(found: list[Example], grade: int, grades: set[int]) -> bool:
  """Whether it is a grade's turn: none is two ahead of another."""
  counts = Counter(example.grade for example in found)
  return counts[grade] == min(counts[g] for g in grades)


def _shortest(examples: list[Example]) -> list[Example]:
  return sorted(examples, key=lambda example: len(example.text.split()))


def _parsed(line: str, path: Path, number: int) -> Example:
  try:
    fields = json.loads(line)
    if not isinstance(fields, dict):
      raise ValueError("expected a JSON object")
    for name in ("text", "query"):
      if not isinstance(fields.get(name), str) or not fields[name].strip():
        raise ValueError(f"expected a text under {name!r}")
    if not isinstance(fields.get("grade"), int | None):
      raise ValueError("expected an integer under 'grade'")
  except ValueError as error:
    raise DataError(
      f"{error}: {line[:80]!r}", path=path, line=number
    ) from error
  return Example(
    text=fields["text"].strip(),
    query=fields["query"].strip(),
    docno=fields.get("docno"),
    grade=fields.get("grade"),
  )
