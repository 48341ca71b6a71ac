"""Splits that tell the truth: merged answers, no text on two sides, a dev.

Queries are compared by their normalised text, `core.text.normalise_query`.
Everything here is a pure function of `texts`, query id -> normalised text,
and of qrels.
"""

import bisect
import collections
import dataclasses
from collections.abc import Mapping, Sequence

from genret.core.collection import Qrels
from genret.core.errors import ConfigError, UserError
from genret.core.shares import fraction_of

Texts = Mapping[str, str]  # query id -> normalised text
Splits = Mapping[str, Qrels]

TRAINING_QUERIES = {"0": 0, "1": 1, "2-3": 2, "4-7": 4, "8+": 8}
"""Numbers of training queries of an answer: their name -> the least."""
PRECEDENCE = ("test", "dev")  # then any others by name, and train last


@dataclasses.dataclass(frozen=True, kw_only=True)
class Merged:
  """Judgements merged over queries of the same text.

  Attributes:
    splits: the new qrels.
    texts: how many texts were judged under several query ids with different
      outcomes.
    joined: how many training queries were left out, because another one
      has the same text and now all of its answers.
  """

  splits: dict[str, dict[str, dict[str, int]]]
  texts: int
  joined: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Separated:
  """Splits that share no query text.

  Attributes:
    splits: the new qrels.
    dropped: split -> how many of its queries were left out, because another
      split that comes first has the same text.
  """

  splits: dict[str, dict[str, dict[str, int]]]
  dropped: Mapping[str, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Carved:
  """A training split in two.

  Attributes:
    train: what is left of it.
    dev: what was carved from it.
  """

  train: dict[str, dict[str, int]]
  dev: dict[str, dict[str, int]]


def merge_answers(splits: Splits, texts: Texts) -> Merged:
  """Gives each query the judgements of every query that reads the same.

  Who asks for a text cannot know under which id it was judged, so an answer
  to any of them answers them all; where grades differ, the highest counts.
  Queries of dev and test keep their ids, so that their number stays what was
  published. Training queries of one text become one, the first: n ids with n
  answers each would be n² examples.

  >>> merged = merge_answers(
  ...   {"train": {"a": {"d1": 1}, "b": {"d2": 1}}, "test": {"c": {"d3": 2}}},
  ...   {"a": "who", "b": "who", "c": "who"},
  ... )
  >>> merged.splits["train"]
  {'a': {'d1': 1, 'd2': 1, 'd3': 2}}
  >>> merged.splits["test"]
  {'c': {'d3': 2, 'd1': 1, 'd2': 1}}

  Args:
    splits: split -> query id -> docno -> grade.
    texts: query id -> normalised text.

  Returns:
    New splits and counts; queries keep their order, and a query's own
    judgements come first.
  """
  answers: dict[str, dict[str, int]] = {}
  differing: set[str] = set()
  for qrels in splits.values():
    for query_id, judged in qrels.items():
      known = answers.setdefault(texts[query_id], {})
      if known and known != judged:
        differing.add(texts[query_id])
      for docno, grade in judged.items():
        known[docno] = max(grade, known.get(docno, grade))
  out = {
    split: _united(qrels, texts, answers) for split, qrels in splits.items()
  }
  joined = 0
  if "train" in out:
    out["train"] = _first_of_each(out["train"], texts)
    joined = len(splits["train"]) - len(out["train"])
  return Merged(splits=out, texts=len(differing), joined=joined)


def separate(splits: Splits, texts: Texts) -> Separated:
  """Leaves each text to one split: test before dev, others, train last.

  What is published for testing stays whole, and what is trained on gives
  way; nothing is moved from one split to another.

  >>> separate(
  ...   {"train": {"a": {"d1": 1}, "b": {"d2": 1}}, "test": {"c": {"d1": 1}}},
  ...   {"a": "who", "b": "when", "c": "who"},
  ... )  # doctest: +NORMALIZE_WHITESPACE
  Separated(splits={'train': {'b': {'d2': 1}}, 'test': {'c': {'d1': 1}}},
            dropped={'train': 1})

  Args:
    splits: split -> query id -> docno -> grade.
    texts: query id -> normalised text.

  Returns:
    New splits and counts.

  Raises:
    ConfigError: a split would lose all its queries, as one does that is part
      of another.
  """
  owner: dict[str, str] = {}
  kept: dict[str, dict[str, dict[str, int]]] = {}
  for split in _order(splits):
    kept[split] = {
      query_id: dict(judged)
      for query_id, judged in splits[split].items()
      if owner.setdefault(texts[query_id], split) == split
    }
    if splits[split] and not kept[split]:
      others = {owner[texts[query_id]] for query_id in splits[split]}
      raise ConfigError(
        f"Every query of split {split!r} also stands in "
        f"{', '.join(sorted(others))}. Choose which splits to prepare, and "
        f"leave one of them out."
      )
  dropped = {split: len(splits[split]) - len(kept[split]) for split in splits}
  return Separated(
    splits={split: kept[split] for split in splits},
    dropped={split: count for split, count in dropped.items() if count},
  )


def carve_dev(
  train: Qrels, texts: Texts, *, share: float = 0.05, seed: int = 0
) -> Carved:
  """Carves a development split from a training split, by hash of the text.

  Which side a query falls on depends on its text and the seed alone: not on
  its id, the other queries or their order. So a text never falls on both.

  Args:
    train: query id -> docno -> grade.
    texts: query id -> normalised text.
    share: of the texts that go to dev, over 0 and below 1.
    seed: draws another share.

  Returns:
    Both sides, in the order of `train`.

  Raises:
    ConfigError: the share is out of range.
  """
  if not 0 < share < 1:
    raise ConfigError(f"share lies between 0 and 1; {share} came.")
  to_dev = {
    query_id: fraction_of(f"{seed}\n{texts[query_id]}") < share
    for query_id in train
  }
  return Carved(
    train={q: dict(judged) for q, judged in train.items() if not to_dev[q]},
    dev={q: dict(judged) for q, judged in train.items() if to_dev[q]},
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Covered:
  """The queries of a test by whether training has touched their answers.

  Attributes:
    covered: ids of queries with a positive whose document has a training
      query.
    uncovered: ids of the others, those without a positive included.
  """

  covered: tuple[str, ...]
  uncovered: tuple[str, ...]


def by_coverage(train: Qrels, test: Qrels, *, relevance: int = 1) -> Covered:
  """Parts the queries of a test: is one of their positives covered?

  >>> by_coverage({"a": {"d1": 1}}, {"b": {"d1": 1, "d2": 1}, "c": {"d3": 1}})
  Covered(covered=('b',), uncovered=('c',))

  Args:
    train: query id -> docno -> grade.
    test: likewise.
    relevance: the least grade that counts as relevant.

  Returns:
    Both parts, in the order of `test`.
  """
  trained = set(_positives(train, relevance))
  covered = {
    query_id: not trained.isdisjoint(_positives({query_id: judged}, relevance))
    for query_id, judged in test.items()
  }
  return Covered(
    covered=tuple(q for q, touched in covered.items() if touched),
    uncovered=tuple(q for q, touched in covered.items() if not touched),
  )


def by_training_queries(
  train: Qrels, test: Qrels, *, relevance: int = 1
) -> dict[str, tuple[str, ...]]:
  """Parts the queries of a test by how often their answer was asked for.

  Of several answers the one with most training queries counts. So those of
  none are the uncovered ones of `by_coverage`.

  >>> by_training_queries(
  ...   {"a": {"d1": 1}, "b": {"d1": 1}}, {"c": {"d1": 1, "d2": 1}, "d": {}}
  ... )
  {'0': ('d',), '1': (), '2-3': ('c',), '4-7': (), '8+': ()}

  Args:
    train: query id -> docno -> grade.
    test: likewise.
    relevance: the least grade that counts as relevant.

  Returns:
    Number of training queries, as in TRAINING_QUERIES -> query ids in the
    order of `test`.
  """
  asked = collections.Counter(_positives(train, relevance))
  found: dict[str, list[str]] = {name: [] for name in TRAINING_QUERIES}
  names = list(TRAINING_QUERIES)
  for query_id, judged in test.items():
    answers = _positives({query_id: judged}, relevance)
    most = max((asked[docno] for docno in answers), default=0)
    place = bisect.bisect_right(list(TRAINING_QUERIES.values()), most) - 1
    found[names[place]].append(query_id)
  return {name: tuple(queries) for name, queries in found.items()}


def check_disjoint(splits: Splits, texts: Texts) -> None:
  """Refuses splits that share a query text.

  Args:
    splits: split -> query id -> docno -> grade.
    texts: query id -> normalised text.

  Raises:
    UserError: names the two splits and queries.
  """
  owner: dict[str, tuple[str, str]] = {}
  for split, qrels in splits.items():
    for query_id in qrels:
      text = texts[query_id]
      other, other_id = owner.setdefault(text, (split, query_id))
      if other != split:
        raise UserError(
          f"The query {text!r} stands in {other} ({other_id!r}) and in "
          f"{split} ({query_id!r}). Figures on one side would be of queries "
          "seen on the other; prepare the collection anew."
        )


def coverage(train: Qrels, test: Qrels, *, relevance: int = 1) -> float | None:
  """Measures how much of a test the training queries have touched.

  >>> coverage({"a": {"d1": 1}}, {"b": {"d1": 1, "d2": 1}, "c": {"d3": 0}})
  0.5

  Args:
    train: query id -> docno -> grade.
    test: likewise.
    relevance: the least grade that counts as relevant.

  Returns:
    The share of test positives whose document has a training query; None
    where there is no test positive.
  """
  trained = set(_positives(train, relevance))
  asked = _positives(test, relevance)
  if not asked:
    return None
  return sum(docno in trained for docno in asked) / len(asked)


def _united(
  qrels: Qrels, texts: Texts, answers: Qrels
) -> dict[str, dict[str, int]]:
  """Extends each query's judgements, its own documents first."""
  out = {}
  for query_id, judged in qrels.items():
    union = answers[texts[query_id]]
    out[query_id] = {docno: union[docno] for docno in judged} | union
  return out


def _first_of_each(
  qrels: Mapping[str, dict[str, int]], texts: Texts
) -> dict[str, dict[str, int]]:
  """Keeps the first query of each text."""
  first: dict[str, str] = {}
  for query_id in qrels:
    first.setdefault(texts[query_id], query_id)
  return {query_id: qrels[query_id] for query_id in first.values()}


def _positives(qrels: Qrels, relevance: int) -> list[str]:
  return [
    docno
    for judged in qrels.values()
    for docno, grade in judged.items()
    if grade >= relevance
  ]


def _order(splits: Splits) -> Sequence[str]:
  """Lists the splits by who keeps a text."""
  ranks = {split: rank for rank, split in enumerate(PRECEDENCE)}
  ranks["train"] = len(PRECEDENCE) + 1
  return sorted(splits, key=lambda s: (ranks.get(s, len(PRECEDENCE)), s))
