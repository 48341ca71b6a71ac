"""Encoding many texts by any encoder, a few at a time and in any order."""

from collections.abc import Callable, Sequence

import numpy as np

from genret.core.errors import UserError
from genret.embeddings.encoder import Encoder


def encode(
  encoder: Encoder,
  texts: Sequence[str],
  *,
  batch_size: int = 64,
  advance: Callable[[int], object] = lambda done: None,
) -> np.ndarray:
  """Encodes texts in batches of similar length.

  >>> lengths = lambda texts: np.array([[len(t)] for t in texts], np.float32)
  >>> encode(lengths, ["abc", "a", "ab"], batch_size=2).tolist()
  [[3.0], [1.0], [2.0]]

  Args:
    encoder: what turns texts into vectors.
    texts: n of them.
    batch_size: texts handed to the encoder at a time.
    advance: called with the number of texts of each finished batch.

  Returns:
    float32 [n, D], in the order of the texts.

  Raises:
    UserError: the encoder returned another shape, or a number that is not
      finite.
  """
  order = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i))
  vectors = None
  for start in range(0, len(order), batch_size):
    members = order[start : start + batch_size]
    batch = np.asarray(encoder([texts[i] for i in members]), np.float32)
    _check(batch, [texts[i] for i in members], vectors)
    if vectors is None:
      vectors = np.empty((len(texts), batch.shape[1]), np.float32)
    vectors[members] = batch
    advance(len(members))
  return np.zeros((0, 0), np.float32) if vectors is None else vectors


def _check(
  batch: np.ndarray, texts: Sequence[str], vectors: np.ndarray | None
) -> None:
  """Holds an encoder, which may be the user's, to what it promises."""
  dim = None if vectors is None else vectors.shape[1]
  if (
    batch.ndim != 2
    or len(batch) != len(texts)
    or dim
    not in (
      None,
      batch.shape[1],
    )
  ):
    expected = f"[{len(texts)}, {'D' if dim is None else dim}]"
    raise UserError(
      f"An encoder must return one vector a text, an array {expected}; it"
      f" returned {list(batch.shape)}."
    )
  bad = ~np.isfinite(batch).all(1)
  if bad.any():
    text = texts[int(bad.argmax())]
    raise UserError(
      f"The encoder returned NaN or infinity for the text {text[:60]!r}."
    )
