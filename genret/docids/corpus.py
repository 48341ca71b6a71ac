"""What a docid scheme reads of a collection."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, Self

import numpy as np

from genret.core.collection import Document
from genret.core.errors import ConfigError, UserError


class Corpus(Protocol):
  """Documents in their order; a `core.collection.Collection` is one."""

  @property
  def docnos(self) -> Sequence[str]:
    """The docnos."""

  def documents(self) -> Iterator[Document]:
    """Yields the documents, in the order of the docnos."""


@dataclasses.dataclass(frozen=True)
class Listed:
  """A corpus in memory, for documents that are no collection on disk.

  >>> Listed.named(["a", "b"]).docnos
  ['a', 'b']
  """

  listed: Sequence[Document]

  @classmethod
  def named(cls, docnos: Iterable[str]) -> Self:
    """Makes documents that have a docno and no text."""
    return cls([Document(docno=d, title="", text="") for d in docnos])

  @property
  def docnos(self) -> list[str]:
    """The docnos."""
    return [document.docno for document in self.listed]

  def documents(self) -> Iterator[Document]:
    """Yields the documents."""
    return iter(self.listed)


def check_vectors(
  collection: Corpus, embeddings: np.ndarray | None, *, scheme: str
) -> np.ndarray:
  """Returns a scheme's vectors, once there are as many as documents.

  Args:
    collection: N documents.
    embeddings: [N, D], row i is document i.
    scheme: what needs them, as a sentence begins.

  Raises:
    ConfigError: no embeddings.
    UserError: not one row of embeddings a document.
  """
  if embeddings is None:
    raise ConfigError(
      f"{scheme} docids need embeddings. Make them with `genret embed` and"
      " give that folder."
    )
  if len(embeddings) != len(collection.docnos):
    raise UserError(
      f"{len(embeddings):,} rows of embeddings came with"
      f" {len(collection.docnos):,} documents."
    )
  return embeddings
