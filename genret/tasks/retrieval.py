"""The retrieval task: a labelled query -> the docid of each positive.

Nothing here imports TensorFlow.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from genret.core.collection import Collection
from genret.core.docnos import Docnos
from genret.core.errors import DataError
from genret.tasks.examples import BLOCK_TEXTS, TaskConfig, Texts


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

  def texts(self, collection: Collection) -> Iterator[Texts]:
    """Yields the queries, once for each relevant document."""
    docnos = Docnos.from_strings(collection.docnos)
    positives = collection.positives(self.split, relevance=self.relevance)
    while block := list(itertools.islice(positives, BLOCK_TEXTS)):
      rows = docnos.find([positive.docno for positive in block])
      if rows.min() < 0:
        unknown = block[int(np.argmin(rows >= 0))].docno
        raise DataError(
          f"the qrels of split {self.split!r} name document "
          f"{unknown!r}, which the corpus does not have; make the "
          "collection anew",
          path=collection.root,
        )
      yield Texts(documents=rows.tolist(), texts=[p.query.text for p in block])
