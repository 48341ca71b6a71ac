"""Beam search over the docids of a trie, exact and jitted as one program.

The program unrolls the first, wide levels of the trie and runs the rest in one
`lax.while_loop`, which ends when no beam has a symbol left to score. Jit it
with the decoder and the trie as arguments, so that neither new parameters nor
a rebuilt trie of about the same size recompile it:

  search = jax.jit(beam_search, static_argnames=("num_beams", "scoring"))
"""

from typing import Literal, get_args

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from genret.core.docid_table import PAD
from genret.core.errors import UserError, suggest
from genret.decoding import selection
from genret.decoding.decoder import Cache, Decoder, Encoded
from genret.decoding.selection import Children, DeviceTrie, Frontier

Scoring = Literal["raw", "renormalised"]


@flax.struct.dataclass(kw_only=True)
class Beams:
  """Distinct docids of B queries, best first; equal scores in docid order.

  Attributes:
    rows: row of the trie's sorted docids; -1 where there is no beam.
    scores: log-probability of the whole docid; -inf where there is no beam.
    valid: whether there is a beam; false in the last places when more beams
      are asked for than there are docids.
  """

  rows: Int[Array, "B K"]
  scores: Float[Array, "B K"]
  valid: Bool[Array, "B K"]


def beam_search(
  decoder: Decoder,
  encoded: Encoded,
  trie: DeviceTrie,
  *,
  num_beams: int,
  scoring: Scoring = "raw",
) -> Beams:
  """Finds the docids a decoder thinks best, level by level of the trie.

  At every level the `num_beams` best prefixes are kept; of equal ones the
  lexicographically smaller. With at least as many beams as docids nothing is
  dropped, and the result is the exhaustive ranking. A docid that ended keeps
  its score and its place among the others. A docid whose log-probability is
  -inf is not returned.

  Args:
    decoder: the model; a pytree.
    encoded: the encoder's output for B queries, batch first in every leaf.
    trie: the docids.
    num_beams: K, static; may exceed the number of symbols and of docids.
    scoring: static. "raw" sums log-probabilities among all V symbols.
      "renormalised" sums those among the symbols the trie allows, where a
      forced symbol is free: faster, but it discards what the model says of a
      docid's forced symbols, and ranks differently.

  Raises:
    UserError: fewer than one beam, or an unknown scoring.
  """
  _check(num_beams, scoring)
  slots = min(num_beams, trie.rows.shape[0])

  def advance(cache: Cache, beams: Frontier, t: int | Array, *, width: int):
    hidden, cache = decoder.step(cache, beams.parents, beams.symbols, t)
    following = selection.children(trie, beams.states, t, width=width)
    scores = _scores(decoder, hidden, following, t=t, scoring=scoring)
    beams = selection.select(
      trie, beams, following, scores=scores, num_beams=slots
    )
    return cache, beams

  cache = decoder.start(encoded)
  beams = selection.root(trie, len(jax.tree.leaves(encoded)[0]))
  unrolled = _unrolled(trie.widths)
  for t in range(unrolled):
    cache, beams = advance(cache, beams, t, width=trie.widths[t])
  if unrolled < trie.length:
    width = max(trie.widths[unrolled:])
    _, _, beams = jax.lax.while_loop(
      lambda carry: _open(trie, carry[2], carry[0], scoring=scoring),
      lambda carry: (carry[0] + 1, *advance(*carry[1:], carry[0], width=width)),
      (jnp.int32(unrolled), cache, beams),
    )
  return _ranked(beams, num_beams)


def _scores(
  decoder: Decoder,
  hidden: Float[Array, "B K D"],
  following: Children,
  *,
  t: int | Int[Array, ""],
  scoring: Scoring,
) -> Float[Array, "B K W"]:
  """Scores the children of every beam."""
  if scoring == "raw":
    return selection.raw_scores(decoder.logits(hidden, t), following)
  shape = (*hidden.shape[:2], following.symbols.shape[-1])
  candidates = jnp.broadcast_to(following.symbols, shape)
  logits = decoder.logits_at(hidden, t, candidates)
  return selection.renormalised_scores(logits, following)


def _check(num_beams: int, scoring: str) -> None:
  if num_beams < 1:
    raise UserError(f"num_beams must be at least 1, got {num_beams}")
  if scoring not in get_args(Scoring):
    known = suggest(scoring, get_args(Scoring))
    raise UserError(f"unknown scoring {scoring!r}.{known}")


def _unrolled(widths: tuple[int, ...]) -> int:
  """Counts the first levels that are compiled one by one.

  Two at least: the first has one slot, the second makes the cache of K slots
  that a loop can carry. Beyond, a level goes into the loop unless it is over
  four times as wide as all that follow, which would pay for it.

  >>> _unrolled((2048, 600, 6, 2, 1, 1))
  2
  >>> _unrolled((10, 10, 10, 100))
  2
  >>> _unrolled((300, 200, 100, 10, 10))
  3
  >>> _unrolled((2067,))
  1
  """
  first = min(2, len(widths))
  while first < len(widths):
    if widths[first] <= 4 * max(widths[first + 1 :], default=0):
      break
    first += 1
  return first


def _open(
  trie: DeviceTrie, beams: Frontier, t: Int[Array, ""], *, scoring: Scoring
) -> Bool[Array, ""]:
  """Says whether a beam may still gain score: otherwise the search is done."""
  waiting = beams.states >= 0
  if scoring == "raw":
    waiting |= selection.forced_symbols(trie, beams.states, t) != PAD
  waiting &= beams.scores > -jnp.inf
  return (t < trie.length) & waiting.any()


def _ranked(beams: Frontier, num_beams: int) -> Beams:
  """Sorts the finished beams best first and fills up to K places."""
  scores, order = jax.lax.top_k(beams.scores, beams.scores.shape[1])
  valid = scores > -jnp.inf
  rows = jnp.where(valid, ~jnp.take_along_axis(beams.states, order, -1), -1)
  missing = [(0, 0), (0, num_beams - scores.shape[1])]
  return Beams(
    rows=jnp.pad(rows, missing, constant_values=-1),
    scores=jnp.pad(scores, missing, constant_values=-jnp.inf),
    valid=jnp.pad(valid, missing),
  )
