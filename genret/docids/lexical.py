"""Docids that are text, in the vocabulary that the model reads with."""

import numpy as np

from genret.core.docid_table import DocidTable
from genret.core.errors import UserError
from genret.core.text import Tokenizer
from genret.docids.corpus import Corpus

_CHUNK = 8192


def fit_docno(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  max_length: int = 64,
) -> DocidTable:
  """Spells each document's own docno in SentencePiece symbols.

  >>> from genret.docids.corpus import Listed
  >>> table = fit_docno(Listed.named(["d1", "d10"]))
  >>> Tokenizer().decode(table.codes[1]), table.has_eos
  ('d10', True)

  Args:
    collection: whose documents are named.
    embeddings: not used.
    seed: not used.
    max_length: the most symbols a docid may have, EOS included.

  Returns:
    Docids that end with EOS, V = 32,128.

  Raises:
    UserError: a docno has characters that the vocabulary lacks, does not
      come back from its symbols unchanged, or is too long. Says which.
  """
  del embeddings, seed
  docnos = collection.docnos
  tokenizer = Tokenizer()
  rows: list[np.ndarray] = []
  for start in range(0, len(docnos), _CHUNK):
    chunk = list(docnos[start : start + _CHUNK])
    encoded = tokenizer.encode(chunk, max_length=max_length + 1)
    for docno, row in zip(chunk, encoded, strict=True):
      _check(docno, row, tokenizer, max_length=max_length)
      rows.append(np.asarray(row, np.uint16))
  codes = np.zeros((len(rows), max(map(len, rows), default=0)), np.uint16)
  for i, row in enumerate(rows):
    codes[i, : len(row)] = row
  return DocidTable(
    codes=codes,
    docnos=docnos,
    vocab_size=tokenizer.vocab_size,
    scheme="docno",
    text_vocabulary=True,
  )


def _check(
  docno: str, row: list[int], tokenizer: Tokenizer, *, max_length: int
) -> None:
  """Refuses a docno that would be lost on its way through the vocabulary."""
  advice = "Choose another docid scheme, or rename the documents."
  if len(row) > max_length:
    raise UserError(
      f"The docno {docno!r} takes over {max_length} symbols, EOS included."
      f" Raise max_length ({max_length}), or choose another docid scheme."
    )
  if tokenizer.unk_id in row:
    raise UserError(
      f"The docno {docno!r} has characters that the text vocabulary lacks"
      f" (it reads as {tokenizer.decode(row)!r}). {advice}"
    )
  if tokenizer.decode(row) != docno:
    raise UserError(
      f"The docno {docno!r} comes back from the text vocabulary as"
      f" {tokenizer.decode(row)!r}. {advice}"
    )
