"""Scores every docid of a trie: what a search without pruning would find."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from genret.core.docid_table import PAD
from genret.decoding import forced
from genret.decoding.beam_search import Beams
from genret.decoding.decoder import Decoder, Encoded
from genret.decoding.device_trie import DeviceTrie


def exhaustive(
  decoder: Decoder, encoded: Encoded, trie: DeviceTrie, *, chunk: int = 256
) -> Beams:
  """Ranks all docids by their raw log-probabilities, teacher-forced.

  The oracle of `beam_search`, whose ties it breaks the same way: equal scores
  stand in docid order. Its cost grows with the corpus.

  Args:
    decoder: the model; a pytree.
    encoded: the encoder's output for B queries, batch first in every leaf.
    trie: the docids.
    chunk: docids scored at a time, for each query; bounds the memory.

  Returns:
    One place for every row of the trie on the device; those by which its size
    was rounded up come last and are not valid.
  """
  cache = decoder.start(encoded)
  batch = len(jax.tree.leaves(encoded)[0])
  num_rows, length = trie.rows.shape
  chunk = min(chunk, num_rows)
  rows = trie.rows.astype(jnp.int32)
  rows = jnp.pad(rows, [(0, -num_rows % chunk), (0, 0)])

  def score(some: Int[Array, "C T"]) -> Float[Array, "B C"]:
    some = jnp.broadcast_to(some, (batch, *some.shape))
    before = jnp.pad(some[..., :-1], [(0, 0), (0, 0), (1, 0)])
    hidden, _ = decoder.step(cache, jnp.zeros_like(some[..., 0]), before, 0)
    return forced.log_probabilities(decoder, hidden, some, t=0)

  scores = jax.lax.map(score, rows.reshape(-1, chunk, length))  # [M, B, C]
  scores = jnp.moveaxis(scores, 1, 0).reshape(batch, -1)[:, :num_rows]  # [B, U]
  scores = jnp.where(trie.rows[:, 0] != PAD, scores, -jnp.inf)
  scores, order = jax.lax.top_k(scores, num_rows)
  valid = scores > -jnp.inf
  return Beams(rows=jnp.where(valid, order, -1), scores=scores, valid=valid)
