"""Rows of token ids: what every vocabulary does the same way."""

from collections.abc import Sequence

import numpy as np

from genret.core.errors import UserError


def check(texts: Sequence[str], max_length: int, *, least: int) -> None:
  """Raises a UserError unless these are texts that rows have room for.

  Args:
    texts: the texts.
    max_length: the most ids a row may have.
    least: the ids that every row has.
  """
  if isinstance(texts, str):
    raise UserError("encode() takes a list of texts; one string came.")
  least = max(least, 1)
  if max_length < least:
    raise UserError(f"max_length must be at least {least}; {max_length} came.")


def pad(
  rows: Sequence[Sequence[int]], length: int, *, pad_id: int = 0
) -> np.ndarray:
  """Puts rows of ids into one array, padded at the right.

  >>> pad([[5, 6], [7]], 3).tolist()
  [[5, 6, 0], [7, 0, 0]]

  Args:
    rows: B rows of at most `length` ids.
    length: L.
    pad_id: stands where a row has no id.

  Returns:
    int32 [B, L].
  """
  out = np.full((len(rows), length), pad_id, np.int32)  # [B, L]
  for i, row in enumerate(rows):
    if len(row) > length:
      raise UserError(f"Row {i} has {len(row)} ids; {length} fit.")
    out[i, : len(row)] = row
  return out
