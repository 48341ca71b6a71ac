"""What a docid scheme reads of a collection."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, Self

from genret.core.collection import Document


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
