"""Scoring every docid: what a search that drops nothing would find."""

import functools

import jax
import numpy as np
from jaxtyping import Int

from genret.decoding.beam_search import Beams
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.exhaustive import exhaustive
from genret.decoding.trie import Trie
from genret.models.stepper import T5Stepper

_LOGITS = 1 << 24  # alive at a time: 64 MiB


class ExhaustiveSearch:
  """Ranks all docids by their raw log-probabilities.

  Its cost grows with the corpus: every docid is read for every query.

  Args:
    trie: the docids.
  """

  def __init__(self, trie: Trie):
    self._trie = DeviceTrie.place(trie)

  def __call__(
    self, stepper: T5Stepper, inputs: Int[np.ndarray, "B L"], *, num_beams: int
  ) -> Beams:
    """Scores all docids for a batch, a few queries at a time.

    Args:
      stepper: the model.
      inputs: ids of B queries.
      num_beams: docids that come back.

    Returns:
      The best docids, best first.
    """
    width = stepper.config.head_width
    chunk = int(np.clip(_LOGITS // width, 1, 256))
    few = 8 if 8 * width * chunk <= _LOGITS else 1
    found = [
      jax.device_get(
        _score(
          stepper,
          self._trie,
          inputs[start : start + few],
          num_beams=num_beams,
          chunk=chunk,
        )
      )
      for start in range(0, len(inputs), few)
    ]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *found)


@functools.partial(jax.jit, static_argnames=("num_beams", "chunk"))
def _score(
  stepper: T5Stepper,
  trie: DeviceTrie,
  inputs: Int[jax.Array, "B L"],
  *,
  num_beams: int,
  chunk: int,
) -> Beams:
  encoded = stepper.encode(inputs)
  every = exhaustive(stepper, encoded, trie, chunk=chunk)
  return jax.tree.map(lambda leaf: leaf[:, :num_beams], every)
