"""Batches of a few shapes, so that few programs are compiled."""

import dataclasses
from collections.abc import Iterator, Sequence

BATCH_SIZES = (1, 8, 64)
LENGTHS = (16, 32, 64, 128, 256, 512)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
  """Inputs that are searched together.

  Attributes:
    numbers: which inputs these are.
    rows: their ids, and after them repeats up to one of `BATCH_SIZES`.
    length: what the rows are to be padded to.
  """

  numbers: Sequence[int]
  rows: Sequence[Sequence[int]]
  length: int


def batches(
  tokens: Sequence[Sequence[int]], *, longest: int
) -> Iterator[Batch]:
  """Puts inputs of similar length together.

  >>> for batch in batches([[5, 6, 1], [7, 1], [1]], longest=16):
  ...   print(batch.numbers, len(batch.rows), batch.length)
  [2, 1, 0] 8 16

  Args:
    tokens: ids of each input.
    longest: the most ids that an input should have.
  """
  order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
  for start in range(0, len(order), BATCH_SIZES[-1]):
    numbers = order[start : start + BATCH_SIZES[-1]]
    rows = [tokens[i] for i in numbers]
    rows += [rows[0]] * (_round_up(len(rows), BATCH_SIZES) - len(rows))
    yield Batch(
      numbers=numbers,
      rows=rows,
      length=padded(max(map(len, rows)), longest=longest),
    )


def padded(length: int, *, longest: int) -> int:
  """Returns to what a batch is padded.

  >>> [padded(length, longest=40) for length in (3, 16, 17, 33, 50)]
  [16, 16, 32, 40, 50]
  >>> padded(600, longest=1000)
  1000

  Args:
    length: of its longest input.
    longest: the most ids that an input should have; one that has more is
      padded to its own length.
  """
  rounded = _round_up(length, (*LENGTHS, longest))
  return min(rounded, max(length, longest))


def lengths(longest: int) -> list[int]:
  """Returns the lengths that batches of inputs have which are not too long.

  >>> lengths(40)
  [16, 32, 40]
  """
  return sorted({padded(n, longest=longest) for n in range(1, longest + 1)})


def _round_up(size: int, sizes: Sequence[int]) -> int:
  """Returns the first of the sizes that holds `size`, or `size` itself."""
  return next((s for s in sizes if s >= size), size)
