"""Scores symbols that are known beforehand, many positions in one pass."""

import functools

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from genret.core.docid_table import PAD
from genret.decoding.decoder import Cache, Decoder
from genret.decoding.selection import Frontier


def log_probabilities(
  decoder: Decoder,
  hidden: Float[Array, "B K S D"],
  symbols: Int[Array, "B K S"],
  *,
  t: int | Int[Array, ""],
) -> Float[Array, "B K"]:
  """Sums the log-probabilities of S symbols among all V; pads add nothing.

  One position after the other, so that a single [B, K, V] is alive.

  Args:
    decoder: the model.
    hidden: what its head reads for positions t to t + S - 1.
    symbols: what stands there.
    t: the first position.
  """

  def add(total: Array, position: tuple[Array, Array, Array]):
    offset, at, chosen = position
    logits = decoder.logits(at, t + offset)
    picked = jnp.take_along_axis(logits, chosen[..., None], axis=-1)[..., 0]
    gain = picked - jax.nn.logsumexp(logits, axis=-1)
    return total + jnp.where(chosen == PAD, 0.0, gain), None

  by_position = (
    jnp.arange(symbols.shape[-1]),
    jnp.moveaxis(hidden, 2, 0),
    jnp.moveaxis(symbols, 2, 0),
  )
  zeros = jnp.zeros(symbols.shape[:2], jnp.float32)
  return jax.lax.scan(add, zeros, by_position)[0]


def score_tails(
  decoder: Decoder,
  cache: Cache,
  beams: Frontier,
  *,
  rows: Int[Array, "B K T"],
  t: Int[Array, ""],
  longest: int,
) -> Frontier:
  """Adds the log-probabilities of all symbols that are forced.

  A tail of n symbols is read in passes of powers of two, so that no position
  is read in vain and only log2(T) passes are compiled.

  Args:
    decoder: the model.
    cache: after the last step.
    beams: all at rows of the trie.
    rows: their whole docids.
    t: the position that was not read yet, at least 1.
    longest: static; at least the positions left.
  """
  alive = (beams.scores > -jnp.inf)[..., None]
  rows = jnp.where(alive, rows, PAD)
  end = (rows != PAD).sum(axis=-1).max()

  def read(size: int, carry: tuple[Array, Cache, Frontier]):
    t, cache, beams = carry
    before = jax.lax.dynamic_slice_in_dim(rows, t - 1, size, axis=2)
    symbols = jax.lax.dynamic_slice_in_dim(rows, t, size, axis=2)
    hidden, cache = decoder.step(cache, beams.parents, before, t)
    gain = log_probabilities(decoder, hidden, symbols, t=t)
    themselves = jnp.broadcast_to(jnp.arange(gain.shape[1]), gain.shape)
    beams = beams.replace(scores=beams.scores + gain, parents=themselves)
    return t + size, cache, beams

  carry = t, cache, beams
  for power in reversed(range(longest.bit_length())):
    size = 1 << power
    carry = jax.lax.cond(
      end - carry[0] >= size,
      functools.partial(read, size),
      lambda carry: carry,
      carry,
    )
  return carry[2]
