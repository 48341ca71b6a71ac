"""Searching without a trie: the model writes what it likes.

What it wrote counts where it is a docid; the rest is dropped. So a query may
have fewer documents than beams, or none: what the constraint is worth.
"""

import functools
from typing import Protocol

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from genret.core.docid_table import EOS, PAD
from genret.decoding.beam_search import Beams
from genret.decoding.trie import Trie
from genret.decoding.unconstrained import Sequences, search
from genret.models.stepper import T5Stepper

_BLOCK = 1 << 20  # rows looked at a time


class OtherSearch(Protocol):
  """A search that scores raw and walks along no trie on the device."""

  def __call__(
    self, stepper: T5Stepper, inputs: np.ndarray, *, num_beams: int
  ) -> Beams:
    """Searches a batch of ids [B, L]."""
    ...


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
    self._rows = rows = np.asarray(trie.rows)
    blocks = [rows[i : i + _BLOCK] for i in range(0, len(rows), _BLOCK)]
    self._end = EOS if any((b == EOS).any() for b in blocks) else None
    lengths = {rows.shape[1]}
    if self._end is None:
      each = ((block != PAD).sum(axis=1).tolist() for block in blocks)
      lengths = set[int]().union(*each)
    self._lengths = sorted(lengths)

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
    missing = self._rows.shape[1] - symbols.shape[2]
    padded = np.pad(symbols, ((0, 0), (0, 0), (0, missing)))
    found = find(self._rows, padded.reshape(-1, padded.shape[2]))
    return found.reshape(symbols.shape[:2])


def find(
  rows: Int[np.ndarray, "U T"], wanted: Int[np.ndarray, "Q T"]
) -> Int[np.ndarray, " Q"]:
  """Looks rows up among sorted ones, all of them at once.

  A bisection reads a row of each step's middle, so nothing is made of `rows`
  beforehand and they may be memory-mapped.

  >>> rows = np.array([[2, 0], [3, 2], [3, 5], [4, 2]])
  >>> find(rows, np.array([[3, 5], [2, 0], [3, 4], [9, 9]])).tolist()
  [2, 0, -1, -1]

  Args:
    rows: distinct, in lexicographic order.
    wanted: what is looked up.

  Returns:
    Numbers of the rows that equal what is wanted; -1 where none does.
  """
  low = np.zeros(len(wanted), np.int64)
  left = np.full(len(wanted), len(rows))  # rows from `low` on that may be it
  while (left > 1).any():
    half = left // 2
    # Never past the last row: where half > 0, low + half < low + left.
    low += np.where(_after(rows[low + half], wanted), 0, half)
    left -= half
  return np.where((rows[low] == wanted).all(axis=1), low, -1)


def _after(
  rows: Int[np.ndarray, "Q T"], wanted: Int[np.ndarray, "Q T"]
) -> Bool[np.ndarray, " Q"]:
  """Whether each row stands behind what is wanted."""
  first = (rows != wanted).argmax(axis=1)[:, None]
  ours, theirs = (
    np.take_along_axis(values, first, axis=1)[:, 0] for values in (rows, wanted)
  )
  return ours > theirs


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
