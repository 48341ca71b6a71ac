"""How far into their docids the answers of a run are right."""

from collections.abc import Sequence

import numpy as np

from genret.core.collection import Qrels
from genret.core.docid_table import DocidTable
from genret.core.docnos import Docnos
from genret.core.errors import UserError
from genret.core.runs import Run


def prefix_recall(
  run: Run,
  qrels: Qrels,
  table: DocidTable,
  *,
  k: int = 10,
  relevance: int = 1,
) -> list[float]:
  """Returns Recall@k of docid prefixes of 1, 2, … symbols.

  Of a run the first k docids count: documents that share one are found
  together, as the model wrote it once. A document is found at a length where
  one of these docids begins with the same symbols; a docid that is shorter
  counts whole. So values fall from each length to the next, and the last is
  the recall of docids. Where it falls most, there the search goes astray.

  >>> from genret.core.runs import Hit
  >>> table = DocidTable(
  ...   codes=np.array([[2, 2], [2, 3], [3, 2]]), docnos=["a", "b", "c"],
  ...   vocab_size=4, scheme="example",
  ... )
  >>> run = {"q": [Hit(docno="a", score=1.0)]}
  >>> prefix_recall(run, {"q": {"a": 1, "b": 1}}, table)
  [1.0, 0.5]

  Args:
    run: query id -> hits, best first.
    qrels: query id -> docno -> grade.
    table: the docids of at least all documents of both.
    k: docids of a query that count.
    relevance: the lowest grade that counts as relevant.

  Returns:
    The mean over queries with a relevant document, of each length from 1 to
    the longest docid; a query without hits counts as 0.

  Raises:
    UserError: a document has no docid, k is below 1, or no query has a
      relevant document.
  """
  if k < 1:
    raise UserError(f"k counts docids, from 1 on; {k} came")
  wanted = {
    query: [d for d, grade in judged.items() if grade >= relevance]
    for query, judged in qrels.items()
  }
  wanted = {query: docnos for query, docnos in wanted.items() if docnos}
  if not wanted:
    raise UserError("no query has a relevant document: nothing can be recalled")
  docnos = table.docnos
  if not isinstance(docnos, Docnos):
    docnos = Docnos.from_strings(docnos)
  recalls = [
    _recalls(
      _first(
        table.codes[docnos.rows([h.docno for h in run.get(query, ())])], k
      ),
      table.codes[docnos.rows(answers)],
    )
    for query, answers in wanted.items()
  ]
  return np.mean(recalls, axis=0).tolist()


def _first(codes: np.ndarray, k: int) -> np.ndarray:
  """Returns the first k distinct rows, in their order."""
  seen = dict.fromkeys(map(bytes, np.ascontiguousarray(codes)))
  rows = [np.frombuffer(one, codes.dtype) for one in list(seen)[:k]]
  return np.array(rows, codes.dtype).reshape(-1, codes.shape[1])


def _recalls(found: np.ndarray, answers: np.ndarray) -> Sequence[float]:
  """Returns the share of answers whose first symbols are found, by length."""
  same = answers[:, None] == found[None]  # [A, K, T]
  agree = np.logical_and.accumulate(same, axis=2).any(1)  # [A, T]
  return agree.mean(0)
