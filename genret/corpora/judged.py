"""The judgements of a collection as arrays of rows, for counting."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from genret.core.collection import Collection, Judgement
from genret.core.docnos import Docnos
from genret.core.errors import DataError

TRAIN = "train"
TEST = "test"

_BLOCK = 65536


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judgements:
  """The J judgements of a split, in file order.

  Attributes:
    queries: the row of each one's query in the file of queries, int32 [J].
    documents: the row of its document, int32 [J].
    positive: whether that document is relevant, bool [J].
  """

  queries: np.ndarray
  documents: np.ndarray
  positive: np.ndarray

  def __len__(self) -> int:
    return len(self.queries)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged:
  """Who asked for what in a collection.

  Attributes:
    num_documents: of the collection, N.
    query_ids: of its Q queries, in file order.
    splits: name -> its judgements.
  """

  num_documents: int
  query_ids: Docnos
  splits: Mapping[str, Judgements]

  def covered(self) -> np.ndarray:
    """Tells which documents have a training query; bool [N]."""
    found = np.zeros(self.num_documents, bool)
    if TRAIN in self.splits:
      train = self.splits[TRAIN]
      found[train.documents[train.positive]] = True
    return found


def read(collection: Collection, *, relevance: int = 1) -> Judged:
  """Reads all judgements of a collection, 9 bytes each.

  Args:
    collection: whose.
    relevance: the least grade that counts as relevant.

  Raises:
    DataError: a judgement is of a query or document that is not there.
  """
  query_ids = Docnos.from_strings(q.query_id for q in collection.queries())
  return Judged(
    num_documents=collection.num_documents,
    query_ids=query_ids,
    splits={
      split: _judgements(collection, split, query_ids, relevance=relevance)
      for split in collection.splits
    },
  )


def _judgements(
  collection: Collection, split: str, query_ids: Docnos, *, relevance: int
) -> Judgements:
  queries, documents = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
  positive = [np.zeros(0, bool)]
  for block in _blocks(collection.judgements(split)):
    asked, judged = [j.query_id for j in block], [j.docno for j in block]
    queries.append(query_ids.find(asked))
    documents.append(collection.docnos.find(judged))
    positive.append(np.array([j.grade >= relevance for j in block]))
    for kind, ids, rows in (
      ("query", asked, queries[-1]),
      ("document", judged, documents[-1]),
    ):
      _check(ids, rows, what=f"{kind} of split {split!r}", root=collection.root)
  return Judgements(
    queries=np.concatenate(queries),
    documents=np.concatenate(documents),
    positive=np.concatenate(positive),
  )


def _blocks(items: Iterator[Judgement]) -> Iterator[list[Judgement]]:
  while block := list(itertools.islice(items, _BLOCK)):
    yield block


def _check(
  ids: Sequence[str], rows: np.ndarray, *, what: str, root: Path
) -> None:
  unknown = np.flatnonzero(rows < 0)
  if len(unknown):
    raise DataError(
      f"{ids[unknown[0]]!r}, a judged {what}, is not there; make the"
      " collection anew",
      path=root,
    )
