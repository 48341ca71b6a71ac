"""Beam search over all symbols, without a trie: what the constraint costs.

Its program is that of the constrained search but for the choice of the next
symbols, so that the two compare. What it finds need not be a docid. Jit it
with the decoder as an argument:

  jax.jit(search, static_argnames=("length", "num_beams", "end"))
"""

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from genret.core.docid_table import PAD
from genret.core.errors import UserError
from genret.decoding.beam_search import check
from genret.decoding.decoder import Decoder, Encoded
from genret.decoding.loop import walk
from genret.decoding.top_k import blocks

# The columns by which a head is padded have logits of -1e9 or so: no sequence
# of symbols is below this.
_IMPOSSIBLE = -1e8


@flax.struct.dataclass(kw_only=True)
class Sequences:
  """Distinct sequences of B queries, best first; equal scores in their order.

  Attributes:
    symbols: the end included; 0 after it, and where there is no sequence.
    scores: log-probability of the whole sequence; -inf where there is none.
    valid: whether there is a sequence; false in the last places when more
      beams are asked for than there are sequences.
  """

  symbols: Int[Array, "B K T"]
  scores: Float[Array, "B K"]
  valid: Bool[Array, "B K"]


@flax.struct.dataclass(kw_only=True)
class _Beams:
  """The live beams, in lexicographic order of what is written."""

  parents: Int[Array, "B K"]
  symbols: Int[Array, "B K"]
  scores: Float[Array, "B K"]
  written: Int[Array, "B K T"]
  finished: Bool[Array, "B K"]


def search(
  decoder: Decoder,
  encoded: Encoded,
  *,
  length: int,
  num_beams: int,
  end: int | None = None,
) -> Sequences:
  """Finds the sequences a decoder thinks best, symbol by symbol.

  At every position the `num_beams` best prefixes are kept, exactly; of equal
  ones the lexicographically smaller. Scores are raw log-probabilities among
  all V symbols, not divided by the length. A sequence that ended keeps its
  score and its place among the others; one that has not ended after `length`
  symbols is returned as it stands. Pad (0) is written after the end only.

  >>> @flax.struct.dataclass
  ... class Dice:  # 1 with probability .3, 2 with .6, 3 with .1, every time
  ...   def start(self, encoded):
  ...     return ()
  ...
  ...   def step(self, cache, parents, symbols, t):
  ...     return jnp.zeros((*symbols.shape, 1)), cache
  ...
  ...   def logits(self, hidden, t):
  ...     return hidden + jnp.log(jnp.array([0, 0.3, 0.6, 0.1]))
  >>> found = search(Dice(), jnp.zeros((1, 1)), length=2, num_beams=3, end=1)
  >>> found.symbols.tolist()
  [[[2, 2], [1, 0], [2, 1]]]
  >>> [round(score, 2) for score in jnp.exp(found.scores)[0].tolist()]
  [0.36, 0.3, 0.18]

  Args:
    decoder: the model; a pytree. Its cache has room for `length` symbols.
    encoded: the encoder's output for B queries, batch first in every leaf.
    length: T, static.
    num_beams: K, static; may exceed the number of symbols.
    end: static; the symbol that ends a sequence. None: all have T symbols.

  Raises:
    UserError: fewer than one beam or one symbol.
  """
  check(num_beams)
  if length < 1:
    raise UserError(f"length must be at least 1, got {length}")
  end = PAD if end is None else end

  def choose(hidden: Array, beams: _Beams, t: int | Array) -> _Beams:
    logits = decoder.logits(hidden, t)
    return _extended(beams, logits, t, num_beams=num_beams, end=end)

  _, _, beams = walk(
    decoder,
    encoded,
    _root(len(jax.tree.leaves(encoded)[0]), length),
    choose=choose,
    more=lambda beams: ~beams.finished.all(),
    unrolled=min(2, length),
    length=length,
  )
  return _ranked(beams)


def _root(batch: int, length: int) -> _Beams:
  """Starts every query with one beam, the empty prefix."""
  zeros = jnp.zeros((batch, 1), jnp.int32)
  return _Beams(
    parents=zeros,
    symbols=zeros,
    scores=zeros.astype(jnp.float32),
    written=jnp.zeros((batch, 1, length), jnp.int32),
    finished=zeros.astype(bool),
  )


def _extended(
  beams: _Beams,
  logits: Float[Array, "B S V"],
  t: int | Int[Array, ""],
  *,
  num_beams: int,
  end: int,
) -> _Beams:
  """Extends the beams by a symbol each and keeps the best."""
  slots = logits.shape[1]
  parts = blocks(logits, least=-(-num_beams // slots))  # [B, S, G, W]
  total = jax.nn.logsumexp(logits, axis=-1)
  live = jnp.where(beams.finished, -jnp.inf, beams.scores - total)
  done = jnp.where(beams.finished, beams.scores, -jnp.inf)
  scores, place = _best(parts, live, done, num_beams=num_beams)
  parents, symbols = jnp.divmod(place, parts[0, 0].size)
  possible = scores > _IMPOSSIBLE
  symbols = jnp.where(possible, symbols, PAD)
  written = jnp.take_along_axis(beams.written, parents[..., None], axis=1)
  return _Beams(
    parents=parents,
    symbols=symbols,
    scores=jnp.where(possible, scores, -jnp.inf),
    written=written.at[..., t].set(symbols),
    finished=(symbols == PAD) | (symbols == end),
  )


def _best(
  parts: Float[Array, "B S G W"],
  live: Float[Array, "B S"],
  done: Float[Array, "B S"],
  *,
  num_beams: int,
) -> tuple[Float[Array, "B K"], Int[Array, "B K"]]:
  """Chooses among all extensions, as `top_k` does: from the best K blocks.

  The totals are not written out, which would take longer than the choice. The
  best of a block is its greatest logit plus what its slot adds, exactly, for
  rounding keeps the order.

  Args:
    parts: the logits, in blocks.
    live: what a slot adds to its logits; -inf where only the pad may follow.
    done: the total of a slot's pad; -inf where the pad may not follow.
    num_beams: K, at most S * G * W.

  Returns:
    The best totals, and where in S * G * W they are, in this order; of equal
    ones the earlier.
  """
  batch, _, per_slot, width = parts.shape
  tops = parts.max(axis=-1)
  tops = tops.at[..., 0].set(parts[:, :, 0, PAD + 1 :].max(axis=-1))
  tops += live[..., None]
  tops = tops.at[..., 0].max(done)  # [B, S, G]
  tops = tops.reshape(batch, -1)
  _, block = jax.lax.top_k(tops, min(num_beams, tops.shape[1]))
  block = jnp.sort(block, axis=-1)

  few = parts.reshape(batch, -1, width)
  few = jnp.take_along_axis(few, block[..., None], axis=1)
  slot = block // per_slot
  few += jnp.take_along_axis(live, slot, axis=1)[..., None]  # [B, k, W]
  pad = jnp.take_along_axis(done, slot, axis=1)
  pad = jnp.where(block % per_slot == 0, pad, few[..., PAD])
  few = few.at[..., PAD].set(pad).reshape(batch, -1)
  _, place = jax.lax.top_k(few, num_beams)
  place = jnp.sort(place, axis=-1)
  scores = jnp.take_along_axis(few, place, axis=1)
  block = jnp.take_along_axis(block, place // width, axis=1)
  return scores, block * width + place % width


def _ranked(beams: _Beams) -> Sequences:
  """Sorts the beams best first."""
  scores, order = jax.lax.top_k(beams.scores, beams.scores.shape[1])
  valid = scores > -jnp.inf
  symbols = jnp.take_along_axis(beams.written, order[..., None], axis=1)
  return Sequences(
    symbols=jnp.where(valid[..., None], symbols, PAD),
    scores=scores,
    valid=valid,
  )
