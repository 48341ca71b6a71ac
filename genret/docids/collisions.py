"""What becomes of documents that have the same docid."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from genret.core.docid_table import EOS, FIRST_SYMBOL, DocidTable, symbol_dtype
from genret.core.errors import ConfigError, UserError, suggest
from genret.docids import positional

Policy = Literal["share", "extra", "forbid"]
POLICIES = ("share", "extra", "forbid")

_SHOWN = 5
# T5's sentinels, and the rows that pad its vocabulary: no text has them.
_TEXT_FIRST, _TEXT_COUNT = 32_000, 128


def check(policy: str) -> None:
  """Refuses what is no policy."""
  if policy not in POLICIES:
    raise ConfigError(
      f"There is no policy {policy!r} for documents that share a docid."
      + suggest(policy, POLICIES)
    )


def resolve(table: DocidTable, policy: Policy, *, seed: int = 0) -> DocidTable:
  """Applies a policy to documents that share a docid.

  share: they do; a search that finds the docid finds them all, in a seeded
  order.

  extra: one more symbol tells them apart, as in TIGER (Rajput et al., 2023,
  arXiv 2305.05065); they are numbered in a seeded random order. Docids that
  all have one length keep one: there every document gets the symbol. Else
  only those that share a docid do. Before an EOS the symbol is a new one; in
  the text vocabulary it is one of the 128 ids that no text has, or two or
  more of them for over 128 documents. As all holders of a docid are
  lengthened by as much, none begins another.

  forbid: an error that names some.

  >>> table = DocidTable(
  ...   codes=np.array([[4], [2], [4]]), docnos="abc", vocab_size=5, scheme=""
  ... )
  >>> resolve(table, "extra").codes.tolist()
  [[4, 2], [2, 2], [4, 3]]

  Args:
    table: docids of N documents.
    policy: "share", "extra" or "forbid".
    seed: of the numbers of "extra".

  Raises:
    UserError: documents share a docid and the policy forbids it.
  """
  check(policy)
  groups = [] if policy == "share" else table.collisions()
  if not groups:
    return table
  if policy == "forbid":
    raise UserError(_refusal(table, groups))
  numbers = np.zeros(table.num_documents, np.int64)
  random = np.random.default_rng(seed)
  for rows in groups:
    numbers[list(rows)] = random.permutation(len(rows))
  lengths = table.lengths()
  fixed = not table.has_eos and bool((lengths == table.length).all())
  longer = np.full(len(numbers), fixed)
  for rows in groups:
    longer[list(rows)] = True
  return _lengthened(table, numbers, np.flatnonzero(longer))


def _refusal(table: DocidTable, groups: Sequence[Sequence[int]]) -> str:
  shown = "; ".join(
    ", ".join(repr(table.docnos[row]) for row in rows[:_SHOWN])
    + (f" and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else "")
    for rows in groups[:_SHOWN]
  )
  return (
    f"{sum(map(len, groups)):,} documents share {len(groups):,} docids"
    f" ({table.scheme}): {shown}{'; …' if len(groups) > _SHOWN else ''}."
    " Choose the policy 'extra' to tell them apart by one more symbol, or"
    " 'share' to find them together."
  )


def _lengthened(
  table: DocidTable, numbers: np.ndarray, rows: np.ndarray
) -> DocidTable:
  """Writes the numbers of some rows behind their docids."""
  base = _TEXT_COUNT if table.text_vocabulary else int(numbers.max()) + 1
  digits = _places(numbers, base)[rows]
  width = digits.shape[1]
  lengths = table.lengths()
  ends = lengths[rows]
  ended = table.codes[rows, ends - 1] == EOS
  ends -= ended
  length = max(int(lengths.max()), int((ends + ended).max()) + width)
  at = ends[:, None] + np.arange(width)
  sizes = _sizes(table, width)
  if table.has_eos:
    digits += sizes[at]
  sizes = sizes[:length]
  if table.level_starts is not None:
    np.maximum.at(sizes, at, digits + 1)
    *starts, vocab_size = positional.bounds(sizes)
  else:
    starts = [FIRST_SYMBOL] * length
    vocab_size = max(table.vocab_size, FIRST_SYMBOL + int(digits.max()) + 1)
  codes = positional.moved(table, starts, dtype=symbol_dtype(vocab_size))
  codes[rows[:, None], at] = np.array(starts)[at] + digits
  codes[rows[ended], ends[ended] + width] = EOS
  return dataclasses.replace(
    table,
    codes=codes,
    vocab_size=vocab_size,
    level_starts=None if table.level_starts is None else tuple(starts),
  )


def _sizes(table: DocidTable, more: int) -> np.ndarray:
  """Returns below which digit each position's symbols are, and `more` ones'.

  A symbol that is put before an EOS is one that no docid has there: or the
  docids (2, EOS) and (2, EOS) could come to be a (2, 3, EOS) that there is.
  """
  if table.level_starts is not None:
    bounds = [*table.level_starts, table.vocab_size]
    return np.array([*np.diff(bounds), *[0] * more])
  size = _TEXT_FIRST if table.text_vocabulary else table.vocab_size
  return np.full(table.length + more, size - FIRST_SYMBOL)


def _places(numbers: np.ndarray, base: int) -> np.ndarray:
  """Writes numbers with as many digits as the greatest needs.

  >>> _places(np.array([0, 5, 12]), 10).tolist()
  [[0, 0], [0, 5], [1, 2]]
  """
  digits = []
  while not digits or numbers.any():
    numbers, digit = np.divmod(numbers, base)
    digits.append(digit)
  return np.stack(digits[::-1], axis=1)
