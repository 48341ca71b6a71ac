"""The round-trip filter: does a query find the document it was made for?"""

import dataclasses
import hashlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np

from genret.core.collection import Document, Query
from genret.core.docnos import Docnos
from genret.core.errors import ConfigError
from genret.core.runs import Run
from genret.core.text import normalise_query
from genret.querygen.near_duplicates import check_threshold, repeats
from genret.tasks.synthetic import SyntheticQuery

Search = Callable[[Sequence[Query], int], Run]
"""(queries, k) -> at most k documents for each, best first."""

Verdict = Literal["kept", "best", "missed", "same", "near"]
"""Of a query: its document came back; it did not, but the query is the best
its document has; it did not; it did, but the query repeats the text of one
that is kept, or nearly does."""

STAY = ("kept", "best")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
  """Which queries stay.

  Attributes:
    k: a query stays if its document is among the first k; None: without a
      search, all do.
    keep_best: whether a document left with no query keeps its best one: that
      with the best rank, then of the highest log-probability, then the first.
    near_duplicates: of the queries of a document that stay, those go that
      repeat one before them, or share so many of their words with it (Jaccard
      similarity); None: they stay.
  """

  k: int | None = 1
  keep_best: bool = False
  near_duplicates: float | None = 0.8

  def __post_init__(self):
    if self.k is not None and self.k < 1:
      raise ConfigError(f"k is a number of documents, from 1 on; {self.k} came")
    check_threshold(self.near_duplicates)

  def found(self, ranks: np.ndarray) -> np.ndarray:
    """Says which ranks are within k; bool [Q]."""
    if self.k is None:
      return np.ones(len(ranks), bool)
    return (ranks > 0) & (ranks <= self.k)


def text_numbers(documents: Iterable[Document]) -> np.ndarray:
  """Numbers documents so that those of the same text have the same number.

  Texts are the same but for case, white space and Unicode form, which no
  searcher could tell apart. They are compared by 64 bits of a hash.

  Args:
    documents: N of them.

  Returns:
    int32 [N].
  """
  hashes = array("Q")
  for document in documents:
    text = normalise_query(document.contents).encode("utf-8")
    digest = hashlib.blake2b(text, digest_size=8).digest()
    hashes.append(int.from_bytes(digest))
  _, numbers = np.unique(np.array(hashes, np.uint64), return_inverse=True)
  return numbers.astype(np.int32)


def ranks(
  queries: Sequence[SyntheticQuery],
  *,
  search: Search,
  depth: int,
  docnos: Docnos,
  text_numbers: np.ndarray,
) -> np.ndarray:
  """Says at which rank each query finds the document it was made for.

  A document of the same text counts as the document. Equal queries are
  searched once.

  Args:
    queries: Q of them.
    search: finds documents.
    depth: how many a query.
    docnos: of the collection, N of them.
    text_numbers: as the function of this name gives them, [N].

  Returns:
    The rank, from 1; 0 where it is not among the first `depth`, int32 [Q].
  """
  ids: dict[str, str] = {}
  for query in queries:
    ids.setdefault(query.text, str(len(ids)))
  asked = [Query(query_id=id_, text=text) for text, id_ in ids.items()]
  run = search(asked, depth)
  found = {
    id_: text_numbers[docnos.rows([hit.docno for hit in hits])]
    for id_, hits in run.items()
  }
  own = text_numbers[docnos.rows([query.docno for query in queries])]
  out = np.zeros(len(queries), np.int32)
  none = np.zeros(0, np.int32)
  for i, query in enumerate(queries):
    at = np.flatnonzero(found.get(ids[query.text], none)[:depth] == own[i])
    out[i] = at[0] + 1 if len(at) else 0
  return out


def judge(
  queries: Sequence[SyntheticQuery], ranks: np.ndarray, rule: Rule
) -> list[Verdict]:
  """Says of each query of one document whether it stays.

  >>> texts = ["Who built it?", "who built it", "a bridge", "when?"]
  >>> judge(
  ...   [SyntheticQuery(docno="d", text=text) for text in texts],
  ...   np.array([1, 1, 0, 3]),
  ...   Rule(k=1),
  ... )
  ['kept', 'near', 'missed', 'missed']

  Args:
    queries: those of the document, Q of them.
    ranks: where each finds it, 0 for nowhere, [Q].
    rule: which stay.

  Returns:
    One word a query.
  """
  found = rule.found(ranks).tolist()
  out: list[Verdict] = ["kept" if is_found else "missed" for is_found in found]
  if rule.near_duplicates is not None:
    stay = [i for i, is_found in enumerate(found) if is_found]
    kinds = repeats(
      [queries[i].text for i in stay], threshold=rule.near_duplicates
    )
    for i, kind in zip(stay, kinds, strict=True):
      out[i] = "kept" if kind == "first" else kind
  if rule.keep_best and queries and "kept" not in out:
    out[_best(queries, ranks)] = "best"
  return out


def _best(queries: Sequence[SyntheticQuery], ranks: np.ndarray) -> int:
  def badness(i: int) -> tuple[float, float, int]:
    log_probability = queries[i].log_probability
    return (
      float(ranks[i]) or np.inf,
      np.inf if log_probability is None else -log_probability,
      i,
    )

  return min(range(len(queries)), key=badness)
