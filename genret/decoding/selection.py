"""One step of a constrained search: which symbols may follow, which beams stay.

Pure functions under jit over a trie whose arrays live on the device. A beam is
one int32, its *state*: a node of the trie if >= 0, else ~row, the only docid
its prefix still leads to.
"""

from collections.abc import Callable
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from genret.core.docid_table import PAD
from genret.decoding.trie import Trie


def round_up(size: int) -> int:
  """Rounds a size up to four leading bits: at most an eighth is wasted.

  Sizes of device arrays are rounded so that tries of about the same size
  share a compiled search.

  >>> [round_up(n) for n in (0, 1, 15, 17, 100, 1000)]
  [1, 1, 15, 18, 104, 1024]
  """
  step = 1 << max(0, size.bit_length() - 4)
  return max(1, -(-size // step) * step)


@flax.struct.dataclass(kw_only=True)
class DeviceTrie:
  """A trie as an argument of a jitted search.

  The names and the numbering are those of `Trie`; sizes are rounded up, and
  what was added is never reached. Rows that were added hold pads alone.

  Attributes:
    root: state of the empty prefix: node 0, or ~0 if there is but one docid.
    widths: static; for each depth, at least the most children a node has.
  """

  rows: Int[Array, "U T"]
  symbol: Int[Array, "E"]
  child: Int[Array, "E"]
  indptr: Int[Array, "M+1"]
  root: Int[Array, ""]
  widths: tuple[int, ...] = flax.struct.field(pytree_node=False)

  @classmethod
  def place(
    cls, trie: Trie, *, round_up: Callable[[int], int] = round_up
  ) -> Self:
    """Copies a trie to the default device."""

    def grown(array: np.ndarray, mode: str = "constant") -> Array:
      more = round_up(array.shape[0]) - array.shape[0]
      widths = [(0, more)] + [(0, 0)] * (array.ndim - 1)
      return jax.device_put(np.pad(array, widths, mode=mode))

    return cls(
      rows=grown(trie.rows),
      symbol=grown(trie.symbol),
      child=grown(trie.child),
      indptr=grown(trie.indptr, "edge"),
      root=jax.device_put(np.int32(0 if trie.num_rows > 1 else ~0)),
      widths=tuple(map(round_up, trie.branching)),
    )

  @property
  def length(self) -> int:
    """T, the symbols of the longest docid."""
    return self.rows.shape[1]


@flax.struct.dataclass(kw_only=True)
class Frontier:
  """The live beams of B queries, in lexicographic order of their prefixes.

  Attributes:
    states: node if >= 0, else ~row. The root's first axis may be 1: it is the
      same for every query.
    scores: log-probability of the prefix; -inf where there is no beam.
    parents: the slot of the step before that the beam continues.
    symbols: the last symbol of the prefix; 0 at the root and after the end.
  """

  states: Int[Array, "B K"]
  scores: Float[Array, "B K"]
  parents: Int[Array, "B K"]
  symbols: Int[Array, "B K"]


@flax.struct.dataclass(kw_only=True)
class Children:
  """The symbols that may follow each beam, in increasing order.

  Attributes:
    symbols: the candidates; 0 where there is none, or the docid is finished.
    allowed: whether the candidate exists. A finished docid keeps one
      candidate, the pad, that adds nothing to its score.
  """

  symbols: Int[Array, "B K W"]
  allowed: Bool[Array, "B K W"]


def root(trie: DeviceTrie, num_queries: int) -> Frontier:
  """Starts every query with one beam, the empty prefix."""
  zeros = jnp.zeros((num_queries, 1), jnp.int32)
  return Frontier(
    states=trie.root[None, None],
    scores=zeros.astype(jnp.float32),
    parents=zeros,
    symbols=zeros,
  )


def forced_symbols(
  trie: DeviceTrie, states: Int[Array, "B K"], t: int | Int[Array, ""]
) -> Int[Array, "B K"]:
  """Returns symbol t of the row each beam leads to; of a node, anything."""
  return _take(trie.rows, (jnp.maximum(~states, 0), t))


def children(
  trie: DeviceTrie,
  states: Int[Array, "B K"],
  t: int | Int[Array, ""],
  *,
  width: int,
) -> Children:
  """Gathers the symbols that may follow each beam at position t.

  Args:
    trie: the trie.
    states: nodes of depth t, and rows.
    t: the position of the next symbol.
    width: W, static; at least the children of any of the nodes.
  """
  branches = states >= 0
  nodes = jnp.maximum(states, 0)
  first = _take(trie.indptr, nodes)
  degrees = _take(trie.indptr, nodes + 1) - first
  place = jnp.arange(width)
  below = _take(trie.symbol, first[..., None] + place)
  forced = forced_symbols(trie, states, t)
  allowed = place < jnp.where(branches, degrees, 1)[..., None]
  symbols = jnp.where(branches[..., None], below, forced[..., None])
  return Children(symbols=jnp.where(allowed, symbols, PAD), allowed=allowed)


def raw_scores(
  logits: Float[Array, "B K V"], following: Children
) -> Float[Array, "B K W"]:
  """Log-probabilities of the children among all V symbols."""
  total = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
  chosen = _along(logits, following.symbols)
  return _restricted(chosen - total, following)


def renormalised_scores(
  logits: Float[Array, "B K W"], following: Children
) -> Float[Array, "B K W"]:
  """Log-probabilities among the children alone; a forced symbol is free."""
  total = jax.nn.logsumexp(
    logits, axis=-1, keepdims=True, where=following.allowed
  )
  return _restricted(logits - total, following)


def select(
  trie: DeviceTrie,
  frontier: Frontier,
  following: Children,
  *,
  scores: Float[Array, "B K W"],
  num_beams: int,
) -> Frontier:
  """Keeps the best beams among all children, exactly.

  Of equal scores the lexicographically smaller prefix is kept: the candidates
  stand in that order, `top_k` prefers the earlier, and the survivors are put
  back in it.

  Args:
    trie: the trie.
    frontier: the beams that were extended.
    following: their children.
    scores: what each child adds to the score of its beam.
    num_beams: beams to keep; more than there are candidates is fine.
  """
  batch, _, width = scores.shape
  totals = frontier.scores[..., None] + scores  # [B, K, W]
  totals = totals.reshape(batch, -1)  # [B, K*W]
  missing = max(0, num_beams - totals.shape[1])
  totals = jnp.pad(totals, [(0, 0), (0, missing)], constant_values=-jnp.inf)
  _, best = jax.lax.top_k(totals, num_beams)
  best = jnp.sort(best, axis=-1)
  parents = jnp.minimum(best // width, frontier.scores.shape[1] - 1)
  states = _along(frontier.states, parents)
  edges = _take(trie.indptr, jnp.maximum(states, 0)) + best % width
  states = jnp.where(states >= 0, _take(trie.child, edges), states)
  scores = _along(totals, best)
  symbols = following.symbols.reshape(len(following.symbols), -1)
  return Frontier(
    states=jnp.where(scores > -jnp.inf, states, ~0),
    scores=scores,
    parents=parents,
    symbols=_along(symbols, jnp.minimum(best, symbols.shape[1] - 1)),
  )


def _restricted(
  scores: Float[Array, "B K W"], following: Children
) -> Float[Array, "B K W"]:
  """Lets a finished docid keep its score and bars what is not allowed."""
  scores = jnp.where(following.symbols == PAD, 0.0, scores)
  return jnp.where(following.allowed, scores, -jnp.inf)


def _along(array: Array, index: Int[Array, "*S K"]) -> Array:
  """Gathers along the last axis; first axes of length 1 are broadcast."""
  return jnp.take_along_axis(array, index, axis=-1, mode="clip")


def _take(array: Array, index: Array | tuple[Array, ...]) -> Array:
  """Gathers from the first axes, clipped; symbols widen to int32."""
  return array.at[index].get(mode="clip").astype(jnp.int32)
