"""64-bit fingerprints of many strings at once (FNV-1a); a hash of arrays."""

import hashlib
from collections.abc import Mapping

import numpy as np

_START = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_BLOCK = 65536


def fingerprints(text: np.ndarray, offsets: np.ndarray) -> np.ndarray:
  """Hashes strings that lie end to end.

  >>> text = np.frombuffer(b"a" b"foobar", np.uint8)
  >>> [f"{x:x}" for x in fingerprints(text, np.array([0, 0, 1, 7]))]
  ['cbf29ce484222325', 'af63dc4c8601ec8c', '85944171f73967e8']

  Args:
    text: their bytes, uint8.
    offsets: where each begins and the last one ends, int64 [N + 1].

  Returns:
    uint64 [N]. Different strings may share one, which is to be checked.
  """
  out = np.empty(len(offsets) - 1, np.uint64)
  for start in range(0, len(out), _BLOCK):
    bounds = offsets[start : start + _BLOCK + 1]
    block = text[bounds[0] : bounds[-1]]
    out[start : start + _BLOCK] = _of_block(block, bounds - bounds[0])
  return out


def digest(arrays: Mapping[str, np.ndarray]) -> str:
  """Hashes arrays by name, type, shape and bytes, in their order.

  >>> digest({"a": np.zeros(2)}) == digest({"a": np.zeros(3)})
  False

  Returns:
    SHA-256, hexadecimal.
  """
  found = hashlib.sha256()
  for name, array in arrays.items():
    found.update(f"{name} {array.dtype} {array.shape}".encode())
    found.update(np.ascontiguousarray(array).view(np.uint8))
  return found.hexdigest()


def _of_block(text: np.ndarray, bounds: np.ndarray) -> np.ndarray:
  """Hashes byte after byte of all strings, the longest ones first."""
  shortness = -np.diff(bounds)
  order = np.argsort(shortness, kind="stable")
  shortness, starts = shortness[order], bounds[:-1][order]
  hashes = np.full(len(order), _START)
  for place in range(-shortness.min(initial=0)):
    count = np.searchsorted(shortness, -place)  # strings longer than `place`
    octets = text[starts[:count] + place]
    hashes[:count] = (hashes[:count] ^ octets) * _PRIME
  out = np.empty_like(hashes)
  out[order] = hashes
  return out
