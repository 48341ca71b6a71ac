"""Atomic docids: one symbol a document."""

import numpy as np

from genret.core.docid_table import FIRST_SYMBOL, DocidTable
from genret.docids.corpus import Corpus


def fit(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
) -> DocidTable:
  """Gives each document a symbol of its own, in corpus order.

  >>> from genret.docids.corpus import Listed
  >>> fit(Listed.named(["a", "b"])).codes.tolist()
  [[2], [3]]

  Args:
    collection: whose documents are named.
    embeddings: not used.
    seed: not used.

  Returns:
    Docids of one symbol, V = N + 2.
  """
  del embeddings, seed
  docnos = collection.docnos
  vocab_size = FIRST_SYMBOL + len(docnos)
  codes = np.arange(FIRST_SYMBOL, vocab_size, dtype=np.int32)[:, None]
  return DocidTable(
    codes=codes, docnos=docnos, vocab_size=vocab_size, scheme="atomic"
  )
