"""Atomic docids: one symbol a document."""

from collections.abc import Sequence

import numpy as np

from genret.core.docid_table import FIRST_SYMBOL, DocidTable


def build(
  docnos: Sequence[str],
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
) -> DocidTable:
  """Gives each document a symbol of its own, in corpus order.

  >>> build(["a", "b"]).codes.tolist()
  [[2], [3]]

  Args:
    docnos: of the collection, in corpus order.
    embeddings: not used.
    seed: not used.

  Returns:
    Docids of one symbol, V = N + 2.
  """
  del embeddings, seed
  vocab_size = FIRST_SYMBOL + len(docnos)
  codes = np.arange(FIRST_SYMBOL, vocab_size, dtype=np.int32)[:, None]
  return DocidTable(
    codes=codes, docnos=docnos, vocab_size=vocab_size, scheme="atomic"
  )
