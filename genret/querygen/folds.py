"""Folds of documents: who is generated for by a model that never saw whom."""

import hashlib
from collections.abc import Iterable

import numpy as np

from genret.core.errors import ConfigError


def fold_of(docno: str, folds: int) -> int:
  """Returns the fold of a document, by the hash of its docno.

  >>> [fold_of(docno, 5) for docno in ("d1", "d2", "d3")]
  [1, 4, 3]

  Args:
    docno: of the document.
    folds: how many there are.
  """
  return _number(docno) % folds


def folds_of(docnos: Iterable[str], folds: int) -> np.ndarray:
  """Returns the fold of each document, int32 [N].

  Raises:
    ConfigError: there are fewer folds than one.
  """
  check(folds)
  return np.fromiter((fold_of(docno, folds) for docno in docnos), np.int32)


def held_out(docnos: Iterable[str], share: float) -> np.ndarray:
  """Says which documents a model is judged on while it is trained, bool [N].

  Which they are has nothing to do with their folds.
  """
  fractions = (_number(f"held out {docno}") / 2**64 for docno in docnos)
  return np.fromiter(fractions, np.float64) < share


def check(folds: int) -> None:
  """Refuses fewer folds than one."""
  if folds < 1:
    raise ConfigError(
      f"folds is {folds}; expected 1 (one model, which sees all pairs) or more."
    )


def _number(text: str) -> int:
  digest = hashlib.sha256(text.encode()).digest()
  return int.from_bytes(digest[:8], "big")
