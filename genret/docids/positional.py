"""2D docids: a symbol is a level and a digit."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from genret.core.docid_table import (
  EOS,
  FIRST_SYMBOL,
  PAD,
  DocidTable,
  symbol_dtype,
)
from genret.core.errors import ConfigError
from genret.docids import semantic
from genret.docids.corpus import Corpus

_BLOCK = 1 << 18  # rows written at a time


def fit(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  scheme: Callable[..., DocidTable] = semantic.fit,
) -> DocidTable:
  """Makes docids of a scheme and gives each position symbols of its own.

  NCI's position-aware docids (Wang et al., 2022, arXiv 2206.02743): the digit
  3 at the first level and the digit 3 at the second stand for clusters that
  have nothing in common, and so they are two symbols.

  Args:
    collection: whose documents are named.
    embeddings: for the scheme, if it needs any.
    seed: handed to the scheme.
    scheme: `fit` of a scheme with a vocabulary of its own, or a
      functools.partial of it.

  Returns:
    Docids of the same tree, with `level_starts`.

  Raises:
    ConfigError: the scheme's docids are text.
  """
  table = scheme(collection, embeddings=embeddings, seed=seed)
  if table.text_vocabulary:
    raise ConfigError(
      f"{table.scheme} docids are text, whose pieces mean the same at every"
      " position. Give a scheme with symbols of its own, such as semantic.fit."
    )
  largest = table.codes.max(axis=0).astype(np.int64)
  return with_levels(
    dataclasses.replace(table, scheme=f"2d {table.scheme}"),
    widths=(largest - first_symbols(table) + 1).tolist(),
  )


def with_levels(table: DocidTable, *, widths: Sequence[int]) -> DocidTable:
  """Gives each level symbols of its own: the same tree, other numbers.

  >>> table = DocidTable(
  ...   codes=np.array([[3, 2], [2, 0]]), docnos="ab", vocab_size=4, scheme=""
  ... )
  >>> made = with_levels(table, widths=[2, 1])
  >>> made.codes.tolist(), made.level_starts, made.vocab_size
  ([[3, 4], [2, 0]], (2, 4), 5)

  Args:
    table: docids of N documents.
    widths: symbols of each level; one where there is none.
  """
  *starts, vocab_size = bounds(widths)
  return dataclasses.replace(
    table,
    codes=moved(table, starts, dtype=symbol_dtype(vocab_size)),
    vocab_size=vocab_size,
    level_starts=tuple(starts),
  )


def bounds(widths: Sequence[int]) -> list[int]:
  """Returns the first symbol of each level, and V.

  >>> bounds([2, 0, 3])
  [2, 4, 5, 8]
  """
  each = [max(int(width), 1) for width in widths]
  return list(itertools.accumulate(each, initial=FIRST_SYMBOL))


def first_symbols(table: DocidTable) -> np.ndarray:
  """Returns the first symbol of each position [T]."""
  return np.array(table.level_starts or [FIRST_SYMBOL] * table.length)


def moved(
  table: DocidTable, starts: Sequence[int], *, dtype: np.dtype
) -> np.ndarray:
  """Writes docids with other first symbols of their positions.

  The array is as wide as there are first symbols, padded at its end; it is
  filled a block of rows at a time, and only the block is ever held at 64 bits.

  Args:
    table: docids of N documents.
    starts: first symbol of each position.
    dtype: of what is made.
  """
  codes = np.full((table.num_documents, len(starts)), PAD, dtype)
  width = min(table.length, len(starts))
  shift = np.array(starts[:width]) - first_symbols(table)[:width]
  for begin in range(0, len(codes), _BLOCK):
    block = table.codes[begin : begin + _BLOCK, :width]
    if shift.any():
      block = np.where(block > EOS, block + shift, block)
    codes[begin : begin + _BLOCK, :width] = block
  return codes
