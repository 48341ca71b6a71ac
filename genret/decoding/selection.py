"""One step of a constrained search: which symbols may follow, which beams stay.

Pure functions under jit over a `DeviceTrie`. A beam is one int32, its *state*:
a node of the trie if >= 0, else ~row, the only docid its prefix still leads
to. Nothing here is as wide as the vocabulary but the logits themselves: the
children of the beams are gathered, in spans of consecutive edges.
"""

from typing import Literal

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from genret.core.docid_table import PAD
from genret.decoding.decoder import Decoder
from genret.decoding.device_trie import DeviceTrie, Level
from genret.decoding.lookahead import Lookahead
from genret.decoding.top_k import top_k

Scoring = Literal["raw", "renormalised"]


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
  """What may follow the beams of each query, in spans of W edges.

  Spans stand in the order of the beams, and symbols in increasing order, so
  that the candidates of a query are in lexicographic order. First axes of
  length 1 are broadcast. Where every beam is one span, S = K.

  Attributes:
    parents: the beam that a span belongs to.
    edges: the first edge of a span; of a row, anything.
    symbols: the candidates; 0 where there is none, or the docid is finished.
    allowed: whether the candidate exists. A finished docid keeps one
      candidate, the pad, that adds nothing to its score.
  """

  parents: Int[Array, "B S"]
  edges: Int[Array, "B S"]
  symbols: Int[Array, "B S W"]
  allowed: Bool[Array, "B S W"]


def root(trie: DeviceTrie, num_queries: int) -> Frontier:
  """Starts every query with one beam, the empty prefix."""
  zeros = jnp.zeros((num_queries, 1), jnp.int32)
  return Frontier(
    states=trie.numbered(trie.root)[None, None],
    scores=zeros.astype(jnp.float32),
    parents=zeros,
    symbols=zeros,
  )


def children(
  trie: DeviceTrie,
  states: Int[Array, "B K"],
  t: int | Int[Array, ""],
  *,
  level: Level,
) -> Children:
  """Gathers the symbols that may follow each beam at position t.

  Args:
    trie: the trie.
    states: nodes of depth t, and rows.
    t: the position of the next symbol.
    level: static; bounds that hold at depth t.
  """
  states, mine = trie.local(states)
  nodes = jnp.maximum(states, 0)
  first = _take(trie.indptr, nodes)
  degrees = _take(trie.indptr, nodes + 1) - first
  degrees = jnp.where(states >= 0, degrees, 1) * mine
  num_spans = level.num_spans(states.shape[1])
  if num_spans == states.shape[1]:
    parents = jnp.broadcast_to(jnp.arange(num_spans), states.shape)
    edges, left = first, degrees
  else:
    parents, number = _spread(-(-degrees // level.width), num_spans)
    done = number * level.width
    edges = _along(first, parents) + done
    left = _along(degrees, parents) - done
  place = jnp.arange(level.width)
  below = _take(trie.symbol, edges[..., None] + place)
  states = _along(states, parents)
  forced = _take(trie.rows, (jnp.maximum(~states, 0), t))
  allowed = place < left[..., None]
  symbols = jnp.where(states[..., None] >= 0, below, forced[..., None])
  return Children(
    parents=parents,
    edges=edges,
    symbols=jnp.where(allowed, symbols, PAD),
    allowed=allowed,
  )


def _spread(
  counts: Int[Array, "B K"], num_spans: int
) -> tuple[Int[Array, "B S"], Int[Array, "B S"]]:
  """Gives every beam its spans: whose each is, and its number there.

  Spans too many go to the last beam, numbered beyond its count.

  >>> _spread(jnp.array([[2, 0, 1]]), 4)[0].tolist()
  [[0, 0, 2, 2]]
  >>> _spread(jnp.array([[2, 0, 1]]), 4)[1].tolist()
  [[0, 1, 0, 1]]
  """
  ends = jnp.cumsum(counts, axis=-1)
  span = jnp.arange(num_spans)
  parents = (ends[:, None, :] <= span[:, None]).sum(axis=-1)  # [B, S]
  parents = jnp.minimum(parents, counts.shape[1] - 1)
  return parents, span - _along(ends - counts, parents)


def scores_of(
  decoder: Decoder,
  hidden: Float[Array, "B K D"],
  following: Children,
  *,
  t: int | Int[Array, ""],
  scoring: Scoring,
  axis: str | None = None,
) -> Float[Array, "B S W"]:
  """Scores the children of every beam; -inf where there is no child.

  Args:
    decoder: the model.
    hidden: what its head reads, for each beam.
    following: the children.
    t: the position.
    scoring: "raw": log-probabilities among all V symbols. "renormalised":
      among the children of a beam alone, so that a forced symbol is free.
    axis: mesh axis over which the children are spread; the root's are.
  """
  one_each = following.parents.shape[1] == hidden.shape[1]
  if scoring == "renormalised" and one_each:
    shape = (*hidden.shape[:2], following.symbols.shape[-1])
    symbols = jnp.broadcast_to(following.symbols, shape)
    chosen = decoder.logits_at(hidden, t, symbols)
  else:
    logits = decoder.logits(hidden, t)  # [B, K, V]
    chosen = _chosen(logits, following)
  if scoring == "raw":
    total = jax.nn.logsumexp(logits, axis=-1)  # [B, K]
  else:
    total = _total_of_children(chosen, following, hidden.shape[1])
    if axis is not None:
      parts = jax.lax.all_gather(total, axis)  # [parts, B, K]
      total = jax.nn.logsumexp(parts, axis=0)
  if not one_each:
    total = _along(total, following.parents)
  scores = chosen - total[..., None]
  scores = jnp.where(following.symbols == PAD, 0.0, scores)
  return jnp.where(following.allowed, scores, -jnp.inf)


def _chosen(
  logits: Float[Array, "B K V"], following: Children
) -> Float[Array, "B S W"]:
  if following.parents.shape[1] == logits.shape[1]:
    return _along(logits, following.symbols)
  batch = jnp.arange(logits.shape[0])[:, None, None]
  where = (batch, following.parents[..., None], following.symbols)
  return logits.at[where].get(mode="promise_in_bounds")


def _total_of_children(
  logits: Float[Array, "B S W"], following: Children, num_beams: int
) -> Float[Array, "B K"]:
  """Sums the probabilities of a beam's children over its spans, in logs."""
  totals = jax.nn.logsumexp(logits, axis=-1, where=following.allowed)  # [B, S]
  if totals.shape[1] == num_beams:
    return totals
  beams = jnp.arange(num_beams)[:, None]
  mine = following.parents[:, None, :] == beams  # [B, K, S]
  return jax.nn.logsumexp(totals[:, None, :], axis=-1, where=mine)


def select(
  trie: DeviceTrie,
  frontier: Frontier,
  following: Children,
  *,
  scores: Float[Array, "B S W"],
  num_beams: int,
  lookahead: Lookahead | None = None,
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
    lookahead: what else the beams are ranked by.
  """
  spans, width = scores.shape[1:]
  totals = _along(frontier.scores, following.parents)[..., None] + scores
  keys = totals
  parents_states, _ = trie.local(_along(frontier.states, following.parents))
  if lookahead is not None:
    edges = following.edges[..., None] + jnp.arange(width)
    states = _below(trie, parents_states[..., None], edges)
    keys = lookahead.keys(totals, states)
  missing = max(0, -(-num_beams // width) - spans)
  keys = jnp.pad(keys, [(0, 0), (0, missing), (0, 0)], constant_values=-jnp.inf)
  _, best = top_k(keys, num_beams)
  best = jnp.sort(best, axis=-1)
  span = jnp.minimum(best // width, spans - 1)
  edges = _along(following.edges, span) + best % width
  states = _below(trie, _along(parents_states, span), edges)
  keys = _flat(keys, best)
  found = keys > -jnp.inf
  kept = Frontier(
    states=jnp.where(found, trie.numbered(states), ~0),
    scores=jnp.where(found, _flat(totals, best), -jnp.inf),
    parents=_along(following.parents, span),
    symbols=_flat(following.symbols, best),
  )
  if trie.shard is None:
    return kept
  return _best_of_all(kept, keys, axis=trie.shard.axis)


def _best_of_all(
  beams: Frontier, keys: Float[Array, "B K"], *, axis: str
) -> Frontier:
  """Keeps the best of what every part of the trie has kept.

  Parts are in the order of their docids, so that the beams of all, part by
  part and each in order, are in lexicographic order.
  """
  num_beams = keys.shape[1]
  beams, keys = jax.tree.map(
    lambda leaf: jax.lax.all_gather(leaf, axis, axis=1, tiled=True),
    (beams, keys),
  )
  _, best = jax.lax.top_k(keys, num_beams)
  best = jnp.sort(best, axis=-1)
  return jax.tree.map(lambda leaf: _along(leaf, best), beams)


def _below(
  trie: DeviceTrie, states: Int[Array, "*B"], edges: Int[Array, "*B"]
) -> Int[Array, "*B"]:
  """Follows edges from nodes; a row stays where it is."""
  return jnp.where(states >= 0, _take(trie.child, edges), states)


def _flat(array: Array, index: Int[Array, "B K"]) -> Array:
  """Gathers from all axes but the first, as if they were one."""
  return _along(array.reshape(len(array), -1), index)


def _along(array: Array, index: Int[Array, "*S K"]) -> Array:
  """Gathers along the last axis; first axes of length 1 are broadcast."""
  return jnp.take_along_axis(array, index, axis=-1, mode="clip")


def _take(array: Array, index: Array | tuple[Array, ...]) -> Array:
  """Gathers from the first axes, clipped; symbols widen to int32."""
  return array.at[index].get(mode="clip").astype(jnp.int32)
