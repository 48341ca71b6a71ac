"""2D docids: a symbol is a level and a digit."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from genret.core.docid_table import EOS, FIRST_SYMBOL, DocidTable, symbol_dtype
from genret.core.errors import ConfigError
from genret.docids import semantic
from genret.docids.corpus import Corpus


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
  found = digits(table)
  return with_levels(
    dataclasses.replace(table, scheme=f"2d {table.scheme}"),
    found,
    widths=(found.max(axis=0) + 1).tolist(),
  )


def digits(table: DocidTable) -> np.ndarray:
  """Returns each symbol's number at its level; pads and EOS are below 0.

  >>> table = DocidTable(
  ...   codes=np.array([[4, 1, 0], [2, 3, 1]]),
  ...   docnos="ab", vocab_size=5, scheme="",
  ... )
  >>> digits(table).tolist()
  [[2, -1, -2], [0, 1, -1]]

  Returns:
    int64 [N, T].
  """
  codes = table.codes.astype(np.int64)
  starts = np.array(table.level_starts or [FIRST_SYMBOL] * table.length)
  return np.where(codes > EOS, codes - starts, codes - FIRST_SYMBOL)


def with_levels(
  table: DocidTable, found: np.ndarray, *, widths: Sequence[int]
) -> DocidTable:
  """Returns a table of such digits, each level with symbols of its own.

  >>> table = DocidTable(
  ...   codes=np.array([[3, 2], [2, 0]]), docnos="ab", vocab_size=4, scheme=""
  ... )
  >>> made = with_levels(table, digits(table), widths=[2, 1])
  >>> made.codes.tolist(), made.level_starts, made.vocab_size
  ([[3, 4], [2, 0]], (2, 4), 5)

  Args:
    table: whose documents they are.
    found: as `digits` gives them.
    widths: symbols of each level; one where there is none.
  """
  bounds = FIRST_SYMBOL + np.cumsum([0, *(max(w, 1) for w in widths)])
  codes = np.where(found < 0, found + FIRST_SYMBOL, found + bounds[:-1])
  return dataclasses.replace(
    table,
    codes=codes.astype(symbol_dtype(int(bounds[-1]))),
    vocab_size=int(bounds[-1]),
    level_starts=tuple(bounds[:-1].tolist()),
  )
