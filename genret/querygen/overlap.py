"""Which generated queries are questions that somebody really asked."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from genret.core.collection import Collection
from genret.core.text import normalise_query
from genret.tasks.synthetic import SyntheticQuery


@dataclasses.dataclass(kw_only=True)
class Overlap:
  """How generated queries coincide with the questions of a split.

  Case, width of characters and white space make no difference.

  Attributes:
    questions: of the split, of different texts.
    generated: generated queries that are such a question.
    for_their_document: of these, those generated for a document that is
      relevant to it.
    questions_met: questions that were generated at least once.
  """

  questions: int
  generated: int = 0
  for_their_document: int = 0
  questions_met: int = 0


def count(
  queries: Iterable[SyntheticQuery], collection: Collection
) -> dict[str, Overlap]:
  """Counts the overlap with every split of a collection.

  Args:
    queries: generated ones, read once.
    collection: theirs.

  Returns:
    Split -> overlap.
  """
  asked = {split: _asked(collection, split) for split in collection.splits}
  found = {split: Overlap(questions=len(asked[split])) for split in asked}
  met: dict[str, set[str]] = {split: set() for split in asked}
  for query in queries:
    key = normalise_query(query.text)
    for split, documents in asked.items():
      if key in documents:
        met[split].add(key)
        found[split].generated += 1
        found[split].for_their_document += query.docno in documents[key]
  for split, overlap in found.items():
    overlap.questions_met = len(met[split])
  return found


def describe(found: Mapping[str, Overlap], *, num_queries: int) -> str:
  """Words the overlap, a line a split.

  >>> one = Overlap(
  ...   questions=4, generated=3, for_their_document=2, questions_met=1
  ... )
  >>> print(describe({"test": one}, num_queries=100))
  test: 3 of 100 generated queries (3.000 %) are one of its 4 questions, 2 of \
them for its document; 1 question is met
  """
  lines = []
  for split, one in found.items():
    share = 100 * one.generated / max(num_queries, 1)
    plural = " is" if one.questions_met == 1 else "s are"
    lines.append(
      f"{split}: {one.generated:,} of {num_queries:,} generated queries"
      f" ({share:.3f} %) are one of its {one.questions:,} questions,"
      f" {one.for_their_document:,} of them for its document;"
      f" {one.questions_met:,} question{plural} met"
    )
  return "\n".join(lines)


def as_json(found: Mapping[str, Overlap]) -> dict[str, Any]:
  """Returns what a summary keeps."""
  return {split: dataclasses.asdict(one) for split, one in found.items()}


def _asked(collection: Collection, split: str) -> dict[str, set[str]]:
  """Returns key of a question's text -> docnos that are relevant to it."""
  asked: dict[str, set[str]] = {}
  qrels = collection.qrels(split)
  for query in collection.asked(qrels):
    relevant = {d for d, grade in qrels[query.query_id].items() if grade >= 1}
    asked.setdefault(normalise_query(query.text), set()).update(relevant)
  return asked
