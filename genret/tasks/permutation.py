"""Random orders of very many numbers that are computed, not stored.

A Feistel network turns a number of b bits into another, one to one; numbers
that come out too large are sent through again until they fit ("cycle
walking": Black and Rogaway, Ciphers with arbitrary finite domains, 2002).
"""

import numpy as np

_ROUNDS = 8
# The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
_MIX = (
  (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
  (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT = np.uint64(31)


class Permutation:
  """A random order of 0, 1, ..., size - 1, in memory of a few numbers.

  >>> order = Permutation(10, np.random.default_rng(0))
  >>> order[np.arange(10)].tolist()
  [7, 8, 0, 1, 5, 4, 6, 2, 9, 3]
  >>> order[np.array([2, 2])].tolist()
  [0, 0]

  Args:
    size: at least 1, at most 2**62.
    rng: draws the order, one of a family of 2**512.
  """

  def __init__(self, size: int, rng: np.random.Generator):
    self._size = size
    bits = max(2, (size - 1).bit_length())
    self._low = np.uint64(bits // 2)  # bits of the lower part
    self._masks = [
      np.uint64((1 << count) - 1) for count in (bits - bits // 2, bits // 2)
    ]
    self._keys = rng.integers(1 << 64, size=_ROUNDS, dtype=np.uint64)

  def __len__(self) -> int:
    return self._size

  def __getitem__(self, places: np.ndarray) -> np.ndarray:
    """Returns the numbers that stand at some places.

    Args:
      places: whole numbers [C] from 0 to size - 1, in any order.

    Returns:
      int64 [C].
    """
    out = self._once(np.asarray(places).astype(np.uint64))
    large = np.flatnonzero(out >= self._size)
    while len(large):  # less than half of them each time, on average
      out[large] = self._once(out[large])
      large = large[out[large] >= self._size]
    return out.astype(np.int64)

  def _once(self, numbers: np.ndarray) -> np.ndarray:
    high, low = numbers >> self._low, numbers & self._masks[1]
    for i in range(0, _ROUNDS, 2):
      high = high ^ (_mixed(low, self._keys[i]) & self._masks[0])
      low = low ^ (_mixed(high, self._keys[i + 1]) & self._masks[1])
    return high << self._low | low


def _mixed(numbers: np.ndarray, key: np.uint64) -> np.ndarray:
  """Scatters numbers over all 64 bits, in a way the key decides."""
  mixed = numbers ^ key
  for shift, factor in _MIX:
    mixed = (mixed ^ (mixed >> shift)) * factor
  return mixed ^ (mixed >> _LAST_SHIFT)
