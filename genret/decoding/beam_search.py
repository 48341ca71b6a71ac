"""Beam search over the docids of a trie, exact and jitted as one program.

The program unrolls the first, wide levels of the trie and runs the others in
one `lax.while_loop`, which ends when no beam branches any more. What is left
of the docids is then scored in one pass: beams whose docid is known cost no
further steps. Jit it with the decoder and the trie as arguments, so that
neither new parameters nor a rebuilt trie of about the same size recompile it:

  search = jax.jit(beam_search, static_argnames=("num_beams", "scoring"))
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Self, get_args

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from genret.core.errors import UserError, suggest
from genret.decoding import forced, selection
from genret.decoding.decoder import Decoder, Encoded
from genret.decoding.device_trie import NARROW, DeviceTrie, Level
from genret.decoding.lookahead import Lookahead
from genret.decoding.loop import walk
from genret.decoding.selection import Frontier, Scoring
from genret.decoding.thrifty import Thrifty


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
  lookahead: Lookahead | None = None,
) -> Beams:
  """Finds the docids a decoder thinks best, level by level of the trie.

  At every level the `num_beams` best prefixes are kept; of equal ones the
  lexicographically smaller. With at least as many beams as docids the result
  is the exhaustive ranking. A docid that ended keeps its score. A docid whose
  log-probability is -inf is not returned.

  Args:
    decoder: the model; a pytree.
    encoded: the encoder's output for B queries, batch first in every leaf.
    trie: the docids.
    num_beams: K, static; may exceed the number of symbols and of docids.
    scoring: static. "raw" sums log-probabilities among all V symbols.
      "renormalised" sums those among the symbols the trie allows, where a
      forced symbol is free: faster, but it discards what the model says of a
      docid's forced symbols, and ranks differently.
    lookahead: what is known of the documents before the search; beams are
      then ranked by it as well.

  Raises:
    UserError: fewer than one beam, or an unknown scoring.
  """
  check(num_beams, scoring)
  plan = _Plan.of(trie, num_beams)
  if scoring == "renormalised":
    decoder = Thrifty(decoder)

  def choose(hidden: Array, beams: Frontier, t: int | Array) -> Frontier:
    level, kept = plan.at(t)
    following = selection.children(trie, beams.states, t, level=level)
    axis = None if trie.shard is None else trie.shard.axis
    scores = selection.scores_of(
      decoder, hidden, following, t=t, scoring=scoring, axis=axis
    )
    beams = selection.select(
      trie, beams, following, scores=scores, num_beams=kept, lookahead=lookahead
    )
    return _resting(beams) if scoring == "renormalised" else beams

  t, cache, beams = walk(
    decoder,
    encoded,
    selection.root(trie, len(jax.tree.leaves(encoded)[0])),
    choose=choose,
    more=_branches,
    unrolled=plan.unrolled,
    length=trie.length,
  )
  longest = trie.length - plan.unrolled
  if scoring == "raw" and longest:
    rows = trie.docids(beams.states)
    beams = forced.score_tails(
      decoder, cache, beams, rows=rows, t=t, longest=longest
    )
  if lookahead is not None:
    beams = _reordered(beams, trie, lookahead)
  return ranked(beams, num_beams)


def _reordered(
  beams: Frontier, trie: DeviceTrie, lookahead: Lookahead
) -> Frontier:
  """Scores whole docids as their prefixes were ranked."""
  states, _ = trie.local(beams.states)
  return beams.replace(scores=lookahead.keys(beams.scores, states))


def check(num_beams: int, scoring: str = "raw") -> None:
  """Refuses what no search can do.

  Raises:
    UserError: fewer than one beam, or an unknown scoring.
  """
  if num_beams < 1:
    raise UserError(f"num_beams must be at least 1, got {num_beams}")
  if scoring not in get_args(Scoring):
    known = suggest(scoring, get_args(Scoring))
    raise UserError(f"unknown scoring {scoring!r}.{known}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Plan:
  """How many slots each level has, and how many levels are unrolled.

  Attributes:
    levels: of the trie.
    slots: for each depth, that of whole docids included, the slots before it.
    unrolled: levels compiled one by one.
    rest: bounds for all the others.
  """

  levels: tuple[Level, ...]
  slots: tuple[int, ...]
  unrolled: int
  rest: Level

  @classmethod
  def of(cls, trie: DeviceTrie, num_beams: int) -> Self:
    most = min(num_beams, trie.capacity)
    slots = 1, *(_slots(level, most) for level in trie.levels[1:]), most
    unrolled = _unrolled(trie.levels, slots)
    rest = functools.reduce(Level.covering, trie.levels[unrolled:], NARROW)
    return cls(levels=trie.levels, slots=slots, unrolled=unrolled, rest=rest)

  def at(self, t: int | Array) -> tuple[Level, int]:
    """Returns the bounds at position t, and the beams to keep after it."""
    if isinstance(t, int):
      return self.levels[t], self.slots[t + 1]
    return self.rest, self.slots[-1]


def _slots(level: Level, most: int) -> int:
  """Counts the slots at a depth: fewer where there are few prefixes."""
  return level.prefixes if 2 * level.prefixes <= most else most


def _unrolled(levels: Sequence[Level], slots: Sequence[int]) -> int:
  """Counts the first levels that are compiled one by one.

  The first, which has one slot, and all until a step has left a cache of as
  many slots as a loop carries. Beyond, a level goes into the loop unless it
  has over four times as many candidates as any that follows, which would pay
  for it.
  """
  wide = [
    level.width * level.num_spans(slots[t]) for t, level in enumerate(levels)
  ]
  first = 1
  while first < len(levels):
    full = slots[first - 1] == slots[-1]
    if full and wide[first] <= 4 * max(wide[first + 1 :], default=0):
      break
    first += 1
  return first


def _resting(beams: Frontier) -> Frontier:
  """Lets beams that have arrived be idle: nothing is asked of them."""
  return beams.replace(parents=jnp.where(beams.states >= 0, beams.parents, -1))


def _branches(beams: Frontier) -> Bool[Array, ""]:
  """Says whether any beam has more than one docid below it."""
  return ((beams.states >= 0) & (beams.scores > -jnp.inf)).any()


def ranked(beams: Frontier, num_beams: int) -> Beams:
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
