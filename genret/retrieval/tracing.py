"""A beam search on the host that can be looked at, step by step.

The search that answers queries is one program, and keeps of a query what it
found. This one walks the trie in NumPy and asks the model for one position at
a time, so that every prefix it weighed can be seen, those it dropped too. What
it finds is what the other finds: each is a check of the other.
"""

import dataclasses
import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from genret.core.docid_table import PAD
from genret.decoding.beam_search import Beams
from genret.decoding.decoder import Cache, Encoded
from genret.decoding.selection import Scoring
from genret.decoding.trie import Trie
from genret.models.stepper import T5Stepper
from genret.retrieval import searcher


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Step:
  """The prefixes of one length: those kept, best first, then the best dropped.

  Equal scores are in the order of docids. A prefix whose probability is 0 is
  not among them.

  Attributes:
    candidates: prefixes that were weighed.
    num_kept: how many of those below were kept.
    prefixes: their symbols. A docid that ended before is written on in pads,
      which cost nothing: it competes with prefixes that still grow.
    states: where the trie has them: a node if >= 0, else ~row, the only docid
      that a prefix still leads to.
    scores: log-probabilities, in nats.
    complete: which are whole docids.
  """

  candidates: int
  num_kept: int
  prefixes: Int[np.ndarray, "P t"]
  states: Int[np.ndarray, "P"]
  scores: Float[np.ndarray, "P"]
  complete: Bool[np.ndarray, "P"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Beams:
  """Prefixes of one length; those that are kept are in the order of docids.

  Attributes:
    parents: the place of each one's beginning among the beams before.
    prefixes: as a `Step` has them, and the others too.
  """

  parents: Int[np.ndarray, "K"]
  prefixes: Int[np.ndarray, "K t"]
  states: Int[np.ndarray, "K"]
  scores: Float[np.ndarray, "K"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Children:
  """What may follow the beams, in the order of docids."""

  parents: Int[np.ndarray, "C"]
  symbols: Int[np.ndarray, "C"]
  states: Int[np.ndarray, "C"]


def trace(
  stepper: T5Stepper,
  inputs: Int[np.ndarray, "1 L"],
  trie: Trie,
  *,
  num_beams: int,
  dropped: int,
  scoring: Scoring,
) -> Iterator[Step]:
  """Searches for one query as `decoding.beam_search` does.

  Three programs are compiled: for the query, the first symbol, and any later
  one. The shapes that they depend on are L and the lesser of `num_beams` and
  the number of docids.

  Args:
    stepper: the model.
    inputs: ids of the query.
    trie: the docids.
    num_beams: K, the prefixes kept a step.
    dropped: the most dropped prefixes that a step names.
    scoring: `raw`, or `renormalised`.

  Yields:
    The steps, until all that was kept are whole docids.
  """
  slots = min(num_beams, trie.num_rows)
  live = _Beams(
    parents=np.zeros(1, np.int32),
    prefixes=np.zeros((1, 0), np.int32),
    states=np.array([trie.root]),
    scores=np.zeros(1, np.float32),
  )
  gains, cache = _begin(stepper, _encode(stepper, inputs), slots=slots)
  for t in range(trie.length):
    if t:
      gains, cache = _go_on(stepper, cache, **_slots(live, slots), t=t)
    following = _children(trie, live.states, t)
    added = _added(np.asarray(gains), following, scoring=scoring)
    scores = live.scores[following.parents] + added
    best = _best(scores, slots + dropped)
    seen = _chosen(live, following, scores=scores, places=best)
    kept = np.sort(best[:slots])
    live = _chosen(live, following, scores=scores, places=kept)
    complete = _is_complete(trie, seen.states, t)
    yield Step(
      candidates=len(scores),
      num_kept=len(live.states),
      prefixes=seen.prefixes,
      states=seen.states,
      scores=seen.scores,
      complete=complete,
    )
    if complete[:slots].all():
      return


def beams(step: Step) -> Beams:
  """Returns what the last step kept, as a search of a batch of one query."""
  kept = slice(step.num_kept)
  return Beams(
    rows=~step.states[None, kept],
    scores=step.scores[None, kept],
    valid=step.complete[None, kept],
  )


def _children(trie: Trie, states: Int[np.ndarray, "K"], t: int) -> _Children:
  """Reads from the trie what may stand at position t."""
  symbols, below = [], []
  for state in states:
    if state < 0:
      symbols.append(trie.rows[~state, t : t + 1])
      below.append(np.array([state]))
    else:
      edges = slice(trie.indptr[state], trie.indptr[state + 1])
      symbols.append(trie.symbol[edges])
      below.append(trie.child[edges])
  return _Children(
    parents=np.repeat(np.arange(len(states)), list(map(len, symbols))),
    symbols=np.concatenate(symbols).astype(np.int32),
    states=np.concatenate(below).astype(np.int32),
  )


def _added(
  gains: Float[np.ndarray, "K V"], following: _Children, *, scoring: Scoring
) -> Float[np.ndarray, "C"]:
  """Returns what each child adds to the score of its beam.

  Args:
    gains: log-probabilities among all symbols.
    following: the children.
    scoring: among which symbols they are to be.
  """
  parents = following.parents
  added = gains[parents, following.symbols]
  if scoring == "renormalised":
    starts = np.flatnonzero(np.diff(parents, prepend=-1))
    most = np.maximum.reduceat(added, starts)
    shares = np.exp((added - most[parents]).astype(np.float64))
    total = most + np.log(np.add.reduceat(shares, starts))
    added = (added - total[parents]).astype(np.float32)
  return np.where(following.symbols == PAD, np.float32(0), added)


def _best(scores: Float[np.ndarray, "C"], k: int) -> Int[np.ndarray, "k"]:
  """Returns the places of the k best, best first, of equal ones the earlier."""
  best = searcher.best_rows(scores, k, np.arange(len(scores)))
  return best[scores[best] > -np.inf]


def _chosen(
  beams: _Beams,
  following: _Children,
  *,
  scores: Float[np.ndarray, "C"],
  places: Int[np.ndarray, "k"],
) -> _Beams:
  """Extends the beams by some of their children."""
  parents = following.parents[places]
  symbols = following.symbols[places, None]
  return _Beams(
    parents=parents,
    prefixes=np.concatenate([beams.prefixes[parents], symbols], axis=1),
    states=following.states[places],
    scores=scores[places],
  )


def _is_complete(
  trie: Trie, states: Int[np.ndarray, "P"], t: int
) -> Bool[np.ndarray, "P"]:
  """Says which prefixes whose last symbol is at t are whole docids."""
  if t + 1 == trie.length:
    return np.ones(len(states), bool)
  following = trie.rows[np.maximum(~states, 0), t + 1]
  return (states < 0) & (following == PAD)


def _slots(beams: _Beams, slots: int) -> dict[str, Int[np.ndarray, "1 K"]]:
  """Returns what `_go_on` reads, filled up; no beam continues the rest."""
  missing = [(0, slots - len(beams.states))]
  read = {"parents": beams.parents, "symbols": beams.prefixes[:, -1]}
  return {
    name: np.pad(values, missing).astype(np.int32)[None]
    for name, values in read.items()
  }


@jax.jit
def _encode(stepper: T5Stepper, inputs: Int[Array, "1 L"]) -> Encoded:
  return stepper.encode(inputs)


@functools.partial(jax.jit, static_argnames="slots")
def _begin(
  stepper: T5Stepper, encoded: Encoded, *, slots: int
) -> tuple[Float[Array, "1 V"], Cache]:
  """Returns log-probabilities of the first symbol.

  All slots begin alike, so that one program takes every later step.
  """
  bos = jnp.zeros((1, slots), jnp.int32)
  cache = stepper.start(encoded)
  hidden, cache = stepper.step(cache, bos, bos[..., None], 0)
  logits = stepper.logits(hidden[:, :1, 0], 0)
  return jax.nn.log_softmax(logits)[0], cache


@jax.jit
def _go_on(
  stepper: T5Stepper,
  cache: Cache,
  *,
  parents: Int[Array, "1 K"],
  symbols: Int[Array, "1 K"],
  t: Int[Array, ""],
) -> tuple[Float[Array, "K V"], Cache]:
  """Returns log-probabilities of what follows each slot's prefix."""
  hidden, cache = stepper.step(cache, parents, symbols[..., None], t)
  logits = stepper.logits(hidden[:, :, 0], t)
  return jax.nn.log_softmax(logits)[0], cache
