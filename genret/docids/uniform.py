"""Random docids: symbols drawn at random, the control without a tree."""

import numpy as np

from genret.core.docid_table import FIRST_SYMBOL, DocidTable, symbol_dtype
from genret.core.errors import ConfigError
from genret.docids.corpus import Corpus


def fit(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  levels: int = 3,
  k: int = 256,
) -> DocidTable:
  """Draws a docid for each document, all of them distinct.

  Every sequence of `levels` symbols is as likely as every other. The shape is
  that of quantised embeddings with so many codebooks of k: each position has
  symbols of its own.

  Args:
    collection: whose documents are named.
    embeddings: not used.
    seed: of the draws.
    levels: symbols a docid.
    k: symbols a position.

  Returns:
    Docids of `levels` symbols, no EOS, V = 2 + levels x k.

  Raises:
    ConfigError: there are fewer docids than documents.
  """
  del embeddings
  count, docids = len(collection.docnos), k**levels
  if min(levels, k) < 1 or count > docids or docids > 1 << 62:
    raise ConfigError(
      f"levels={levels} of k={k} symbols give {docids:,} docids; between the"
      f" number of documents, {count:,}, and 2^62 are expected."
    )
  numbers = np.random.default_rng(seed).choice(docids, count, replace=False)
  vocab_size = FIRST_SYMBOL + levels * k
  codes = np.empty((count, levels), symbol_dtype(vocab_size))
  starts = FIRST_SYMBOL + k * np.arange(levels)
  for level in reversed(range(levels)):
    numbers, digit = np.divmod(numbers, k)
    codes[:, level] = starts[level] + digit
  return DocidTable(
    codes=codes,
    docnos=collection.docnos,
    vocab_size=vocab_size,
    scheme="random",
    level_starts=tuple(starts.tolist()),
  )
