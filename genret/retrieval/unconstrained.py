"""Searching without a trie: the model writes what it likes.

What it wrote counts where it is a docid; the rest is dropped. So a query may
have fewer documents than beams, or none: what the constraint is worth.
"""

import functools

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from genret.core.docid_table import EOS, PAD
from genret.decoding.beam_search import Beams
from genret.decoding.trie import Trie
from genret.decoding.unconstrained import Sequences, search
from genret.models.stepper import T5Stepper


class FreeSearch:
  """Finds docids among what a beam search over all symbols writes.

  Docids that end with EOS are complete where it stands, and docids of one
  length there. In a tree whose docids have several lengths and no EOS each
  length is searched by itself, so that a docid is one as soon as it is
  written, whatever the model would write behind it.

  Args:
    trie: the docids; nothing but a look-up is done with it.
  """

  def __init__(self, trie: Trie):
    rows = np.asarray(trie.rows)
    self._end = EOS if (rows == EOS).any() else None
    lengths = [rows.shape[1]]
    if self._end is None:
      lengths = np.unique((rows != PAD).sum(axis=1)).tolist()
    self._lengths = lengths
    self._dtype = rows.dtype
    self._width = rows.shape[1]
    self._rows = {row.tobytes(): number for number, row in enumerate(rows)}

  def __call__(
    self, stepper: T5Stepper, inputs: Int[np.ndarray, "B L"], *, num_beams: int
  ) -> Beams:
    """Searches a batch.

    Args:
      stepper: the model.
      inputs: ids of B queries.
      num_beams: beams kept a step.

    Returns:
      Distinct docids, best first; `valid` is false for what is none.
    """
    found = [
      jax.device_get(
        _search(
          stepper, inputs, length=length, num_beams=num_beams, end=self._end
        )
      )
      for length in self._lengths
    ]
    rows = np.concatenate([self._numbers(f.symbols) for f in found], axis=1)
    scores = np.concatenate([f.scores for f in found], axis=1)
    valid = (rows >= 0) & np.concatenate([f.valid for f in found], axis=1)
    return _sorted(rows, scores, valid)

  def _numbers(
    self, symbols: Int[np.ndarray, "B K T"]
  ) -> Int[np.ndarray, "B K"]:
    """Looks sequences up among the docids; -1 for what is none."""
    missing = self._width - symbols.shape[2]
    padded = np.pad(symbols, ((0, 0), (0, 0), (0, missing)))
    padded = padded.astype(self._dtype)
    return np.array(
      [[self._rows.get(one.tobytes(), -1) for one in beams] for beams in padded]
    )


def _sorted(
  rows: Int[np.ndarray, "B K"],
  scores: Float[np.ndarray, "B K"],
  valid: Bool[np.ndarray, "B K"],
) -> Beams:
  order = np.argsort(np.where(valid, -scores, np.inf), axis=1, kind="stable")
  rows, scores, valid = (
    np.take_along_axis(values, order, axis=1)
    for values in (rows, scores, valid)
  )
  return Beams(rows=rows, scores=scores, valid=valid)


@functools.partial(jax.jit, static_argnames=("length", "num_beams", "end"))
def _search(
  stepper: T5Stepper,
  inputs: jax.Array,
  *,
  length: int,
  num_beams: int,
  end: int | None,
) -> Sequences:
  encoded = stepper.encode(inputs)
  return search(stepper, encoded, length=length, num_beams=num_beams, end=end)
