"""From what a search wrote to documents."""

import functools

import numpy as np
from jaxtyping import Int

from genret.core.docid_table import DocidTable
from genret.core.docnos import Docnos
from genret.core.errors import UserError
from genret.core.runs import Hit
from genret.decoding.beam_search import Beams
from genret.decoding.trie import Trie
from genret.retrieval import docid_text, searcher


class Documents:
  """The documents of a trie.

  >>> table = DocidTable(
  ...   codes=np.array([[2, 4], [3, 4], [2, 5]]),
  ...   docnos=["a", "b", "c"],
  ...   vocab_size=6,
  ...   scheme="example",
  ... )
  >>> documents = Documents(table, Trie.build(table.codes, 6), tie_seed=0)
  >>> documents.docid("c")
  '2.5'
  >>> documents.below(1, most=5)  # node 1 is the prefix 2
  (2, ('a', 'c'))

  Args:
    table: the docids.
    trie: the trie over them.
    tie_seed: orders documents that share a docid.
  """

  def __init__(self, table: DocidTable, trie: Trie, *, tie_seed: int):
    self.table = table
    self.trie = trie
    self._ties = searcher.tie_order(table.num_documents, seed=tie_seed)

  def sharing(self, row: int) -> Int[np.ndarray, "n"]:
    """Returns the numbers of the documents of a row, in their fixed order."""
    shared = self.trie.documents(row)
    return shared[np.argsort(self._ties[shared])]

  def hits(self, beams: Beams, place: int, *, k: int) -> list[Hit]:
    """Expands the beams of one query to at most k documents.

    Args:
      beams: on the host.
      place: of the query in its batch.
      k: documents wanted.
    """
    documents: list[int] = []
    document_scores: list[float] = []
    valid = beams.valid[place]
    rows, scores = beams.rows[place][valid], beams.scores[place][valid]
    for row, score in zip(rows, scores, strict=True):
      shared = self.sharing(row)
      documents.extend(shared.tolist())
      document_scores.extend([score] * len(shared))
      if len(documents) >= k:
        break
    return searcher.hits(
      np.asarray(documents[:k], np.int64),
      np.asarray(document_scores[:k], np.float32),
      self.table.docnos,
    )

  def below(self, state: int, *, most: int) -> tuple[int, tuple[str, ...]]:
    """Counts the documents that a state of the trie leads to, and names some.

    Args:
      state: a node if >= 0, else ~row.
      most: how many are named: the first in the order of docids.
    """
    first, end = self._first(state), self._last(state) + 1
    named: list[int] = []
    for row in range(first, end):
      if len(named) >= most:
        break
      named.extend(self.sharing(row).tolist())
    ends = self.trie.doc_ptr
    docnos = tuple(self.table.docnos[number] for number in named[:most])
    return int(ends[end] - ends[first]), docnos

  def docid(self, docno: str) -> str:
    """Returns the docid of a document as people read it.

    Raises:
      UserError: there is no such document.
    """
    try:
      [number] = self._docnos.rows([docno])
    except UnicodeEncodeError as error:  # half of a surrogate pair
      raise UserError(f"No document has the docno {docno!r}.") from error
    return docid_text.of_docid(self.table, self.table.codes[number])

  def _first(self, state: int) -> int:
    while state >= 0:
      state = int(self.trie.child[self.trie.indptr[state]])
    return ~state

  def _last(self, state: int) -> int:
    while state >= 0:
      state = int(self.trie.child[self.trie.indptr[state + 1] - 1])
    return ~state

  @functools.cached_property
  def _docnos(self) -> Docnos:
    return Docnos.from_strings(self.table.docnos)
