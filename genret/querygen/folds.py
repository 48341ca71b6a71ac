"""Folds of documents: who is generated for by a model that never saw whom."""

from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from genret.core.collection import Collection
from genret.core.errors import ConfigError
from genret.core.shares import fraction_of, number_of
from genret.core.text import text_key


def fold_of(docno: str, folds: int) -> int:
  """Returns the fold of a document, by the hash of its docno.

  >>> [fold_of(docno, 5) for docno in ("d1", "d2", "d3")]
  [1, 4, 3]

  Args:
    docno: of the document.
    folds: how many there are.
  """
  return number_of(docno) % folds


def folds_of(docnos: Iterable[str], folds: int) -> np.ndarray:
  """Returns the fold of each document, int32 [N].

  Raises:
    ConfigError: there are fewer folds than one.
  """
  check(folds)
  return np.fromiter((fold_of(docno, folds) for docno in docnos), np.int32)


def met(numbers: np.ndarray, where: np.ndarray, folds: int) -> np.ndarray:
  """Says in which folds each thing is met; bool [numbers, folds].

  >>> met(np.array([0, 1, 0]), np.array([1, 0, 0]), 2).tolist()
  [[True, True], [True, False]]

  Args:
    numbers: int [P], of things; all from 0 on are there.
    where: int [P], the fold each is in.
    folds: how many there are.
  """
  found = np.zeros((numbers.max() + 1, folds), bool)
  found[numbers, where] = True
  return found


def folds_of_texts(
  collection: Collection, rows: np.ndarray, folds: int
) -> np.ndarray:
  """Says in which folds a document of the same text lies.

  Texts are the same but for case, white space and Unicode form. All documents
  of the collection are read, once.

  Args:
    collection: any.
    rows: int [P], of some documents.
    folds: how many there are.

  Returns:
    bool [P, folds].
  """
  different, back = np.unique(rows, return_inverse=True)
  keys = [text_key(d.contents) for d in collection.documents(different)]
  found = {key: np.zeros(folds, bool) for key in keys}
  for document in tqdm(
    collection.documents(),
    desc="repeated documents",
    total=collection.num_documents,
    delay=2.0,
  ):
    same = found.get(text_key(document.contents))
    if same is not None:
      same[fold_of(document.docno, folds)] = True
  return np.stack([found[key] for key in keys])[back]


def held_out(docnos: Iterable[str], share: float) -> np.ndarray:
  """Says which documents a model is judged on while it is trained, bool [N].

  Which they are has nothing to do with their folds.
  """
  fractions = (fraction_of(f"held out {docno}") for docno in docnos)
  return np.fromiter(fractions, np.float64) < share


def check(folds: int) -> None:
  """Refuses fewer folds than one."""
  if folds < 1:
    raise ConfigError(
      f"folds is {folds}; expected 1 (one model, which sees all pairs) or more."
    )
