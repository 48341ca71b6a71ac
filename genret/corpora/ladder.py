"""A ladder: nested parts of a collection, 1k ⊂ 10k ⊂ 100k ⊂ 1M ⊂ all.

Every rung asks the same sampled queries and holds their positives. What else
it holds is drawn by seed: documents that have a training query and documents
that have none each have an order of their own, and a rung takes the heads of
both. So a rung depends on its size and on no other rung, and any two nest.

How long the two heads are is the policy. "collection" keeps the share of
documents with a training query that the whole collection has. "paper" takes
all documents with a training query before any other, as the MSMarco100k and
MSMarco1M of Pradeep et al. (2023, arXiv 2305.11841) do.

A training query is on a rung where one of its positives is. A document that
has a training query therefore has one on every rung that holds it; and the
share of test positives that have one is the same on all rungs.
"""

import dataclasses
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import numpy as np

from genret.core.errors import ConfigError
from genret.corpora.judged import TRAIN, Judged
from genret.corpora.rung import Rung, restricted

Like = Literal["collection", "paper"]

ALL = "all"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([kM]?)")
_UNITS = {"": 1, "k": 1000, "M": 1_000_000}


def parse_size(text: str, num_documents: int) -> int:
  """Reads how many documents a rung holds.

  >>> parse_size("10k", 50_000), parse_size("1.5k", 50_000)
  (10000, 1500)
  >>> parse_size("4.1M", 8_841_823)
  4100000
  >>> parse_size("all", 50_000)
  50000

  Args:
    text: a number, with k or M behind it for thousands and millions; or all.
    num_documents: how many the collection has.

  Raises:
    ConfigError: it is no number of documents, or there are fewer.
  """
  if text == ALL:
    return num_documents
  match = _SIZE.fullmatch(text.replace("m", "M").replace("K", "k"))
  # In decimals: 4.1 * 1,000,000 is no whole number of floats.
  size = Decimal(match[1]) * _UNITS[match[2]] if match else 0
  if size < 1 or size != int(size):
    raise ConfigError(
      f"{text!r} is no number of documents; 1000, 10k, 1M or all are."
    )
  if size > num_documents:
    raise ConfigError(
      f"A rung of {text} is wanted, but the collection has {num_documents:,}"
      " documents. Leave it out, or say all."
    )
  return int(size)


def label(size: int, num_documents: int) -> str:
  """Names a rung by its size.

  >>> [label(n, 9_999_999) for n in (7, 1500, 100_000, 2_000_000, 9_999_999)]
  ['7', '1.5k', '100k', '2M', 'all']
  """
  if size == num_documents:
    return ALL
  for unit in ("M", "k"):
    if size >= _UNITS[unit] and size % (_UNITS[unit] // 10) == 0:
      return f"{str(size / _UNITS[unit]).removesuffix('.0')}{unit}"
  return str(size)


def sample(
  judged: Judged, sizes: Mapping[str, int | None], *, seed: int
) -> dict[str, np.ndarray]:
  """Draws the queries that every rung asks.

  Queries without a positive cannot be answered and are left out. A larger
  sample contains a smaller one.

  Args:
    judged: the collection's judgements.
    sizes: split -> how many queries, or as many as there are; None or no
      entry for all.
    seed: of the draw.

  Returns:
    Split -> which queries, bool [Q], for every split but train.
  """
  out = {}
  for split, found in judged.splits.items():
    if split == TRAIN:
      continue
    answered = np.unique(found.queries[found.positive])
    drawn = np.random.default_rng([seed, *split.encode()]).permutation(answered)
    out[split] = np.zeros(len(judged.query_ids), bool)
    out[split][drawn[: sizes.get(split)]] = True
  return out


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
  """In which order documents come onto a ladder.

  Attributes:
    held: the positives of the sampled queries, which every rung holds.
    held_by: split -> how many of them it has.
    covered: the others that have a training query, in drawn order.
    uncovered: the others, in drawn order.
    num_held_covered: how many of `held` have a training query.
  """

  held: np.ndarray
  held_by: Mapping[str, int]
  covered: np.ndarray
  uncovered: np.ndarray
  num_held_covered: int

  @property
  def num_documents(self) -> int:
    """How many the collection has."""
    return len(self.held) + len(self.covered) + len(self.uncovered)

  @property
  def num_covered(self) -> int:
    """How many documents of the collection have a training query."""
    return self.num_held_covered + len(self.covered)

  def wanted(self, size: int) -> int:
    """How many of a rung should have a training query, as the whole has."""
    n = self.num_documents  # in whole numbers, so that rungs nest for sure
    return (2 * size * self.num_covered + n) // (2 * n)

  def documents(self, size: int, *, like: Like) -> np.ndarray:
    """Chooses the documents of a rung.

    Args:
      size: how many.
      like: the policy; the module says which there are.

    Returns:
      Rows, ascending, int32.

    Raises:
      ConfigError: so few cannot hold the positives of the sampled queries.
    """
    places = size - len(self.held)
    if places < 0:
      by = ", ".join(f"{n:,} of {split}" for split, n in self.held_by.items())
      raise ConfigError(
        f"A rung of {size:,} documents cannot hold the {len(self.held):,}"
        f" positives of the sampled queries ({by}). Sample fewer with"
        " --dev_queries and --test_queries, or begin with a larger rung."
      )
    goal = self.num_covered if like == "paper" else self.wanted(size)
    count = min(max(goal - self.num_held_covered, 0), places)
    return np.sort(
      np.concatenate(
        [self.held, self.covered[:count], self.uncovered[: places - count]]
      )
    )


def order(
  judged: Judged, sampled: Mapping[str, np.ndarray], *, seed: int
) -> Order:
  """Draws the order in which documents come onto a ladder.

  Args:
    judged: the collection's judgements.
    sampled: what `sample` returned.
    seed: of the draw.
  """
  held_by = {}
  held = np.zeros(judged.num_documents, bool)
  for split, queries in sampled.items():
    found = judged.splits[split]
    mine = found.documents[found.positive & queries[found.queries]]
    held[mine] = True
    held_by[split] = len(np.unique(mine))
  covered = judged.covered()
  drawn = np.random.default_rng([seed]).permutation(
    np.arange(judged.num_documents, dtype=np.int32)
  )
  drawn = drawn[~held[drawn]]
  return Order(
    held=np.flatnonzero(held).astype(np.int32),
    held_by=held_by,
    covered=drawn[covered[drawn]],
    uncovered=drawn[~covered[drawn]],
    num_held_covered=int((held & covered).sum()),
  )


def rung(
  judged: Judged, sampled: Mapping[str, np.ndarray], documents: np.ndarray
) -> Rung:
  """Restricts the judgements of a collection to some of its documents.

  Args:
    judged: the collection's judgements.
    sampled: what `sample` returned; all their positives are documents here.
    documents: rows, ascending.
  """
  there = np.zeros(judged.num_documents, bool)
  there[documents] = True
  return Rung(
    documents=documents,
    splits={
      split: {split: restricted(found, there, sampled.get(split))}
      for split, found in judged.splits.items()
    },
  )
