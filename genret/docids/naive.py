"""Docids of decimal digits that say nothing about their documents."""

from collections.abc import Sequence

import numpy as np

from genret.core.docid_table import FIRST_SYMBOL, DocidTable, symbol_dtype

_BASE = 10


def build(
  docnos: Sequence[str],
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
) -> DocidTable:
  """Numbers the documents in a seeded random order.

  >>> table = build(["a", "b", "c"], seed=0)
  >>> sorted(table.codes[:, 0].tolist()), table.vocab_size
  ([2, 3, 4], 12)

  Args:
    docnos: of the collection, in corpus order.
    embeddings: not used.
    seed: of the permutation.

  Returns:
    Docids of as many digits as N - 1 has, no EOS, V = 12.
  """
  del embeddings
  numbers = np.random.default_rng(seed).permutation(len(docnos))
  return _table(docnos, numbers, "naive")


def build_sequential(
  docnos: Sequence[str],
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
) -> DocidTable:
  """Numbers the documents in corpus order.

  Neighbours in a corpus are often of one topic, and then share their first
  digits: such docids are not naive.

  >>> build_sequential([f"d{i}" for i in range(11)]).codes[[0, 10]].tolist()
  [[2, 2], [3, 2]]

  Args:
    docnos: of the collection, in corpus order.
    embeddings: not used.
    seed: not used.

  Returns:
    Docids of as many digits as N - 1 has, no EOS, V = 12.
  """
  del embeddings, seed
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
