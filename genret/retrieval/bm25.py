"""BM25 by bm25s: the lexical baseline, all of its settings stated."""

import functools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from genret.core.collection import Document, Query
from genret.core.errors import ConfigError, UserError, suggest
from genret.core.runs import Run
from genret.retrieval import searcher

# bm25l and bm25+ give documents without a query term a score above zero.
METHODS = ("lucene", "robertson", "atire")


@dataclass(frozen=True, kw_only=True)
class Bm25Config:
  """Settings of BM25.

  A text is lower-cased and cut into words of two or more characters; stop
  words go, the rest is stemmed. A document is its title, a space and its text.

  Attributes:
    method: Weighting: "lucene", "robertson" or "atire" (Kamphuis et al., ECIR
      2020, give the formulas; Robertson's weight of a term in more than half
      of the documents is cut off at zero).
    k1: Saturation of term frequency; 0 counts presence only.
    b: Normalisation by document length, from 0 (none) to 1.
    stemmer: A Snowball language for PyStemmer; None: words as they are.
    stop_words: A language whose stop words bm25s knows, such as "en"; None:
      none are dropped.
    seed: Of the order among documents of equal score.
  """

  method: str = "lucene"
  k1: float = 0.9
  b: float = 0.4
  stemmer: str | None = "english"
  stop_words: str | None = "en"
  seed: int = 0

  def __post_init__(self):
    if self.method not in METHODS:
      raise ConfigError(
        f"unknown BM25 method {self.method!r}.{suggest(self.method, METHODS)}"
      )
    if self.k1 < 0 or not 0 <= self.b <= 1:
      raise ConfigError(
        f"BM25 needs k1 >= 0 and 0 <= b <= 1, got k1={self.k1}, b={self.b}"
      )


class BM25:
  """A searcher that ranks documents by BM25.

  >>> documents = [
  ...   Document(docno="d1", title="Cats", text="Cats sleep most of the day."),
  ...   Document(docno="d2", title="Dogs", text="Dogs chase cats and cars."),
  ... ]
  >>> bm25 = BM25(Bm25Config()).fit(documents)
  >>> run = bm25.search([Query(query_id="q", text="a sleeping cat")], k=10)
  >>> [hit.docno for hit in run["q"]]
  ['d1', 'd2']
  """

  def __init__(self, config: Bm25Config | None = None):
    self.config = config or Bm25Config()

  def fit(
    self,
    documents: Iterable[Document],
    *,
    expansions: Mapping[str, Sequence[str]] | None = None,
  ) -> "BM25":
    """Index the documents.

    Args:
      documents: What to search.
      expansions: Docno to texts that are appended to the document, such as its
        training questions.

    Returns:
      The searcher itself.
    """
    expansions = expansions or {}
    docnos, texts = [], []
    for document in documents:
      docnos.append(document.docno)
      extra = expansions.get(document.docno, ())
      texts.append(" ".join([document.contents, *extra]))
    terms = analyse(texts, self.config)
    return self.fit_terms(terms, docnos=docnos)

  def fit_terms(
    self, terms: Sequence[Sequence[str]], *, docnos: Sequence[str]
  ) -> "BM25":
    """Index documents that `analyse` has cut into terms already.

    Args:
      terms: The terms of each document.
      docnos: The docno of each document.
    """
    if not any(terms):
      raise UserError(
        f"none of the {len(docnos)} documents has a term to index: they are"
        f" empty, or hold stop words ({self.config.stop_words}) only"
      )
    self._docnos = docnos
    self._ties = searcher.tie_order(len(docnos), seed=self.config.seed)
    self._index = _bm25s().BM25(
      method=self.config.method,
      k1=self.config.k1,
      b=self.config.b,
      backend="numpy",
    )
    self._index.index(terms, show_progress=False)
    return self

  def search(
    self, queries: Sequence[Query], *, k: int, progress: bool = False
  ) -> Run:
    """Rank the documents that share a term with the query.

    Args:
      queries: What to search for.
      k: Hits a query; fewer where fewer documents share a term. A query
        without any has no hits.
      progress: Whether to show a progress bar.

    Returns:
      Query id to hits, best first, scores strictly decreasing.
    """
    searcher.check_k(k)
    terms = analyse([query.text for query in queries], self.config)
    bar = tqdm(terms, desc="BM25", unit="query", disable=not progress)
    return {
      query.query_id: self._hits(query_terms, k)
      for query, query_terms in zip(queries, bar, strict=True)
    }

  def _hits(self, terms: Sequence[str], k: int) -> list:
    ids = self._index.get_tokens_ids(terms)
    scores = self._index.get_scores_from_ids(ids)
    rows = searcher.best_rows(scores, k, self._ties)
    rows = rows[scores[rows] > 0]
    return searcher.hits(rows, scores[rows], self._docnos)


def analyse(texts: Sequence[str], config: Bm25Config) -> list[list[str]]:
  """Cut texts into the terms that BM25 matches.

  >>> analyse(["The cats are sleeping."], Bm25Config())
  [['cat', 'sleep']]

  Args:
    texts: Documents or queries.
    config: Says which stop words go and how the rest is stemmed.
  """
  stemmer = _stemmer(config.stemmer)
  try:
    return _bm25s().tokenize(
      list(texts),
      stopwords=config.stop_words or [],
      stemmer=stemmer,
      return_ids=False,
      show_progress=False,
    )
  except ValueError as error:
    raise ConfigError(
      f"bm25s knows no stop words by the name {config.stop_words!r}; give a"
      " language code such as 'en', or None"
    ) from error


@functools.cache
def _stemmer(language: str | None):
  if language is None:
    return None
  import Stemmer

  if language not in Stemmer.algorithms():
    raise ConfigError(
      f"unknown stemmer {language!r}.{suggest(language, Stemmer.algorithms())}"
    )
  return Stemmer.Stemmer(language)


def _bm25s():
  """Import bm25s when it is used: it imports JAX, if there, and starts it."""
  import bm25s

  # It asks for debug messages, which any library's log handler then prints.
  logging.getLogger("bm25s").setLevel(logging.WARNING)
  return bm25s
