"""Docids as people read them."""

import functools
from collections.abc import Iterable

from genret.core import text
from genret.core.docid_table import EOS, PAD, DocidTable

END = "<end>"


def of_symbol(table: DocidTable, symbol: int) -> str:
  """Returns what stands for one symbol.

  A symbol of a text docid is a piece of text, in which "▁" is the blank before
  a word; any other is its number. The end of a docid is "<end>", and a pad,
  which nothing is written for, is "".

  >>> import numpy as np
  >>> table = DocidTable(
  ...   codes=np.array([[3, 17, 1]]), docnos=["d"], vocab_size=18, scheme="any"
  ... )
  >>> [of_symbol(table, symbol) for symbol in (3, 17, 1, 0)]
  ['3', '17', '<end>', '']
  """
  if symbol in (PAD, EOS):
    return END if symbol == EOS else ""
  return _pieces()[symbol] if table.text_vocabulary else str(symbol)


def of_docid(table: DocidTable, symbols: Iterable[int]) -> str:
  """Returns a whole docid: its text, or its numbers with dots between.

  Neither says where it ends; pads and the end are left out.

  >>> import numpy as np
  >>> table = DocidTable(
  ...   codes=np.array([[3, 17, 1]]), docnos=["d"], vocab_size=18, scheme="any"
  ... )
  >>> of_docid(table, table.codes[0])
  '3.17'
  """
  if table.text_vocabulary:
    return text.vocabulary("t5").decode(symbols)
  return ".".join(str(s) for s in map(int, symbols) if s not in (PAD, EOS))


@functools.cache
def _pieces() -> list[str]:
  return text.Tokenizer().pieces
