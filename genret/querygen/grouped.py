"""Synthetic queries in the order of the documents they were made for."""

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from genret.core import artifacts
from genret.core.collection import Collection, Document
from genret.core.errors import DataError
from genret.tasks import synthetic
from genret.tasks.synthetic import SyntheticQuery

_log = logging.getLogger(__name__)

Group = tuple[Document, list[SyntheticQuery]]
"""A document with its queries."""


class GroupedQueries:
  """The queries of a collection's documents, document by document.

  Files that genret wrote are in corpus order and are read as a stream; of
  others, such as a user's, all queries are held in memory.

  Attributes:
    rows: the row of each query's document, ascending, int32 [Q].
    left_out: queries of documents that a rung of a ladder does not have.
    low_grade: queries left out for the grade they were made for.
    path: the file; None for labelled queries.
  """

  def __init__(
    self,
    rows: np.ndarray,
    read: Callable[[], Iterator[SyntheticQuery]],
    *,
    left_out: int = 0,
    low_grade: int = 0,
    path: Path | None = None,
  ):
    self.rows = rows
    self._read = read
    self.left_out = left_out
    self.low_grade = low_grade
    self.path = path

  @classmethod
  def open(
    cls, path: Path, collection: Collection, *, relevance: int | None = None
  ) -> "GroupedQueries":
    """Opens synthetic queries, and checks every line.

    Args:
      path: an artifact, or a file, as `synthetic.queries_file` takes it.
      collection: whose documents they were made for. A rung may be given
        queries of all its collection; those of others are left out.
      relevance: the least grade that counts as relevant. Queries made for a
        lower one are left out; those made for none are read. None: all are.

    Returns:
      The queries; of one document in the order of the file.

    Raises:
      ArtifactError: a folder without queries.
      DataError: says file and line of a fault, such as a document that the
        collection does not have; or that no query is left.
    """
    folder, path = Path(path), synthetic.queries_file(path)
    _warn_of_another(folder, collection)
    blocks = [np.zeros(0, np.int32)]
    right = [np.zeros(0, bool)]
    number = 0
    for block in synthetic.blocks_of_queries(path):
      blocks.append(
        synthetic.rows_of(block, collection, path=path, number=number)
      )
      right.append(_right(block, relevance))
      number += len(block)
    all_rows, graded = np.concatenate(blocks), np.concatenate(right)
    here = all_rows >= 0
    mine = here & graded
    rows = all_rows[mine]
    counts = {
      "left_out": int((~here).sum()),
      "low_grade": int((here & ~graded).sum()),
    }
    if not len(rows):
      raise DataError(
        f"none of the {number:,} queries is of a document of"
        f" {collection.name!r}"
        + (f" and of grade {relevance} or more" if counts["low_grade"] else ""),
        path=path,
      )

    def stream() -> Iterator[SyntheticQuery]:
      return itertools.compress(synthetic.read_queries(path), mine)

    if (np.diff(rows) >= 0).all():
      return cls(rows, stream, **counts, path=path)
    order = np.argsort(rows, kind="stable")
    held = list(stream())
    return cls(
      rows[order],
      lambda: (held[i] for i in order.tolist()),
      **counts,
      path=path,
    )

  @classmethod
  def labelled(
    cls, collection: Collection, split: str, *, relevance: int = 1
  ) -> "GroupedQueries":
    """Takes the queries that people asked, each with its relevant documents.

    Args:
      collection: whose.
      split: one of its splits.
      relevance: the least grade that counts as relevant.

    Returns:
      A query for each relevant document of each query.
    """
    found = [
      SyntheticQuery(docno=positive.docno, text=positive.query.text)
      for positive in collection.positives(split, relevance=relevance)
    ]
    rows = collection.docnos.rows([query.docno for query in found])
    order = np.argsort(rows, kind="stable")
    return cls(rows[order], lambda: (found[i] for i in order.tolist()))

  def __len__(self) -> int:
    return len(self.rows)

  def __iter__(self) -> Iterator[SyntheticQuery]:
    """Yields the queries, those of a document one after another."""
    return self._read()

  @property
  def documents(self) -> np.ndarray:
    """The rows of documents that have a query, ascending."""
    return np.unique(self.rows)

  def groups(self, collection: Collection) -> Iterator[Group]:
    """Yields each document that has a query, with its queries."""
    rows, counts = np.unique(self.rows, return_counts=True)
    queries = iter(self)
    documents = collection.documents(rows.tolist())
    for document, count in zip(documents, counts.tolist(), strict=True):
      yield document, list(itertools.islice(queries, count))


def _right(
  block: Sequence[SyntheticQuery], relevance: int | None
) -> np.ndarray:
  """Says which queries were made for no lower grade; bool [B]."""
  if relevance is None:
    return np.ones(len(block), bool)
  return np.array([synthetic.is_relevant(q, relevance) for q in block])


def identities(collection: Collection) -> set[str]:
  """Returns whose a collection is: its own, and those above a rung."""
  known = {collection.identity}
  while collection.parent is not None:
    collection = collection.parent
    known.add(collection.identity)
  return known


def _warn_of_another(folder: Path, collection: Collection) -> None:
  """Warns of queries made for another collection whose docnos are known."""
  if not folder.is_dir():
    return
  made_for = artifacts.load(folder).inputs.get("collection")
  if made_for is not None and made_for not in identities(collection):
    _log.warning(
      "%s was made for another collection than %s, or for another preparation"
      " of it: queries are matched to documents by docno alone",
      folder,
      collection.root,
    )


def identity(path: Path) -> str:
  """Returns what tells a file of queries from another, wherever it lies.

  Args:
    path: an artifact or a file.

  Returns:
    SHA-256 of the file, hexadecimal.

  Raises:
    ArtifactError: a folder without queries.
    DataError: the file cannot be read.
  """
  path = synthetic.queries_file(path)
  try:
    return artifacts.file_hash(path)
  except OSError as error:
    message = f"synthetic queries cannot be read: {error.strerror}"
    raise DataError(message, path=path) from error
