"""The retrieval task: a labelled query -> the docid of each positive.

Nothing here imports TensorFlow.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from genret.core.collection import Collection
from genret.core.errors import DataError
from genret.core.text import Tokenizer
from genret.tasks.examples import TaskConfig, encode_texts


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledQueries(TaskConfig):
  """The judged queries of a split, with each relevant document.

  Attributes:
    split: of the collection.
    relevance: the least grade that counts as relevant.
  """

  split: str = "train"
  relevance: int = 1
  name: str = "labelled"

  def rows(
    self, collection: Collection, tokenizer: Tokenizer
  ) -> Iterator[tuple[int, Sequence[int]]]:
    """Yields the queries, once for each relevant document."""
    return encode_texts(self._texts(collection), tokenizer)

  def _texts(self, collection: Collection) -> Iterator[tuple[int, str]]:
    number = {docno: i for i, docno in enumerate(collection.docnos)}
    for positive in collection.positives(self.split, relevance=self.relevance):
      if positive.docno not in number:
        raise DataError(
          f"the qrels of split {self.split!r} name document "
          f"{positive.docno!r}, which the corpus does not have; make the "
          "collection anew",
          path=collection.root,
        )
      yield number[positive.docno], positive.query.text
