"""Draws symbols from a language model's logits, on the host."""

import numpy as np

from genret.querygen.prompting import Decoding

CANDIDATES = 256
"""The likeliest symbols of which one is drawn; others are never."""
REACH = 16.0
"""Nor are symbols so many times less likely than the best: e to this."""


def draw(
  logits: np.ndarray, uniforms: np.ndarray, decoding: Decoding
) -> tuple[np.ndarray, np.ndarray]:
  """Draws one symbol a row from the nucleus (Holtzman et al., 2020).

  >>> row = np.log(np.array([[0.5, 0.3, 0.2]], np.float32))
  >>> plain = Decoding(temperature=1.0, top_p=1.0)
  >>> [int(draw(row, np.array([u]), plain)[0][0]) for u in (0.4, 0.6, 0.9)]
  [0, 1, 2]
  >>> narrow = Decoding(temperature=1.0, top_p=0.6)
  >>> int(draw(row, np.array([0.9]), narrow)[0][0])
  1

  Args:
    logits: float32 [n, V].
    uniforms: what decides each row, in [0, 1), float64 [n].
    decoding: temperature and top_p.

  Returns:
    The symbols, int64 [n], and the natural logarithms of their probabilities
    by the model as it is, at temperature 1 and with no symbol left out,
    float64 [n].
  """
  top = logits.max(axis=1)  # [n]
  total = np.exp(logits - top[:, None]).sum(axis=1, dtype=np.float64)
  reach = REACH * max(decoding.temperature, 1e-6)
  near = logits >= (top - np.float32(reach))[:, None]
  symbols = np.empty(len(logits), np.int64)
  gained = np.empty(len(logits))
  for row, uniform in enumerate(uniforms):
    candidates = np.flatnonzero(near[row])
    values = logits[row, candidates].astype(np.float64) - top[row]
    order = np.lexsort((candidates, -values))[:CANDIDATES]
    chosen = order[_place(values[order], uniform, decoding)]
    symbols[row] = candidates[chosen]
    gained[row] = values[chosen] - np.log(total[row])
  return symbols, gained


def _place(values: np.ndarray, uniform: float, decoding: Decoding) -> int:
  """Draws a place in logits that fall from 0 on."""
  if decoding.temperature == 0:
    return 0
  ends = np.cumsum(np.exp(values / decoding.temperature))
  last = int(np.searchsorted(ends, decoding.top_p * ends[-1] * (1 - 1e-12)))
  place = int(np.searchsorted(ends, uniform * ends[last], side="right"))
  return min(place, last)
