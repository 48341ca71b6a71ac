"""What every searcher does, and how scores become ranked hits."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from genret.core.collection import Query
from genret.core.errors import UserError
from genret.core.runs import Hit, Run, decreasing


class Searcher(Protocol):
  """Anything that ranks documents for queries."""

  def search(self, queries: Sequence[Query], *, k: int) -> Run:
    """Return at most k distinct documents for each query, best first."""
    ...


def tie_order(num_documents: int, *, seed: int) -> np.ndarray:
  """Return the rank of each document among documents of equal score.

  A seeded permutation: neither docnos nor the order of the corpus, which often
  follows topics, may decide.
  """
  return np.random.default_rng(seed).permutation(num_documents)


def best_rows(scores: np.ndarray, k: int, ties: np.ndarray) -> np.ndarray:
  """Return the rows of the k highest scores, best first.

  Rows 1 and 2 are equal, and `ties` says that row 2 goes first:

  >>> best_rows(np.array([1.0, 5.0, 5.0]), 2, np.array([0, 2, 1])).tolist()
  [2, 1]

  Args:
    scores: [N].
    k: How many; fewer come back where there are fewer.
    ties: [N] ranks that order equal scores, from `tie_order`.
  """
  if k < len(scores):
    lowest = np.partition(scores, len(scores) - k)[len(scores) - k]
    rows = np.flatnonzero(scores >= lowest)
  else:
    rows = np.arange(len(scores))
  return rows[np.lexsort((ties[rows], -scores[rows]))][:k]


def hits(
  rows: np.ndarray, scores: np.ndarray, docnos: Sequence[str]
) -> list[Hit]:
  """Return the hits of these rows, with strictly decreasing scores.

  Args:
    rows: Row numbers of documents, best first.
    scores: Their scores, in the same order.
    docnos: The docno of each row of the collection.
  """
  written = decreasing(scores) if len(rows) else scores
  return [
    Hit(docno=docnos[row], score=float(score))
    for row, score in zip(rows, written, strict=True)
  ]


def check_k(k: int) -> None:
  """Raise a UserError unless at least one hit is asked for."""
  if k < 1:
    raise UserError(f"k is the number of hits a query, from 1 on, got {k}")


def check_texts(queries: Sequence[str]) -> None:
  r"""Raise a UserError unless all queries are texts.

  Half of a surrogate pair, such as "\ud800", is a string but no text.
  """
  for number, query in enumerate(queries):
    if not isinstance(query, str):
      kind = type(query).__name__
      raise UserError(f"Query {number} is no string; {kind} came.")
    if not query.isascii() and any("\ud800" <= c <= "\udfff" for c in query):
      raise UserError(f"Query {number} holds half of a surrogate pair.")
