"""Docids of decimal digits that say nothing about their documents."""

from collections.abc import Sequence

import numpy as np

from genret.core.docid_table import FIRST_SYMBOL, DocidTable, symbol_dtype
from genret.docids.corpus import Corpus

_BASE = 10


def fit(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
) -> DocidTable:
  """Numbers the documents in a seeded random order.

  >>> from genret.docids.corpus import Listed
  >>> table = fit(Listed.named("abc"), seed=0)
  >>> sorted(table.codes[:, 0].tolist()), table.vocab_size
  ([2, 3, 4], 12)

  Args:
    collection: whose documents are named.
    embeddings: not used.
    seed: of the permutation.

  Returns:
    Docids of as many digits as N - 1 has, no EOS, V = 12.
  """
  del embeddings
  docnos = collection.docnos
  numbers = np.random.default_rng(seed).permutation(len(docnos))
  return _table(docnos, numbers, "naive")


def fit_sequential(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
) -> DocidTable:
  """Numbers the documents in corpus order.

  Neighbours in a corpus are often of one topic, and then share their first
  digits: such docids are not naive.

  >>> from genret.docids.corpus import Listed
  >>> corpus = Listed.named(f"d{i}" for i in range(11))
  >>> fit_sequential(corpus).codes[[0, 10]].tolist()
  [[2, 2], [3, 2]]

  Args:
    collection: whose documents are named.
    embeddings: not used.
    seed: not used.

  Returns:
    Docids of as many digits as N - 1 has, no EOS, V = 12.
  """
  del embeddings, seed
  docnos = collection.docnos
  return _table(docnos, np.arange(len(docnos)), "sequential")


def _table(
  docnos: Sequence[str], numbers: np.ndarray, scheme: str
) -> DocidTable:
  """Writes one number a document, with leading zeros."""
  width = len(str(max(len(docnos) - 1, 0)))
  vocab_size = FIRST_SYMBOL + _BASE
  codes = np.empty((len(docnos), width), symbol_dtype(vocab_size))
  for place in reversed(range(width)):
    numbers, codes[:, place] = np.divmod(numbers, _BASE)
  codes += FIRST_SYMBOL
  return DocidTable(
    codes=codes, docnos=docnos, vocab_size=vocab_size, scheme=scheme
  )
