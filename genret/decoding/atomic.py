"""Exact search over atomic docids, a chunk of the head at a time.

An atomic docid is one symbol, so there is one step to take and nothing to
prune: the answer is the K best of the head's V scores. With a symbol for each
of millions of documents these scores, [B, V], are what does not fit. Here they
are made, summed and searched in chunks; what is kept are the K best so far.

Jit it with the decoder and the index as arguments:

  search = jax.jit(
    atomic.search, static_argnames=("num_beams", "scoring", "recall_target")
  )

`atomic_sharded` does the same where several devices hold a part of the head
each.
"""

from collections.abc import Callable
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from genret.core.errors import UserError
from genret.decoding import beam_search, device_trie
from genret.decoding.beam_search import Beams
from genret.decoding.decoder import Decoder, Encoded
from genret.decoding.selection import Scoring
from genret.decoding.top_k import BLOCK, blocks, top_k
from genret.decoding.trie import Trie

CHUNK = 1 << 14

# What a place of a chunk is. The last chunk of a part goes back over symbols
# of the one before it, so that no slice of the head reaches beyond its end.
_NOTHING, _SYMBOL, _DOCID = range(3)


@flax.struct.dataclass(kw_only=True)
class AtomicIndex:
  """The docids of one symbol each, as an argument of a jitted search.

  What a device holds of the head is divided into chunks of W symbols.

  Attributes:
    marks: for each place of each chunk whether it is a docid (2), a symbol
      that is none (1), or nothing to be counted (0): beyond V, or in the
      chunk before as well.
    symbols: the docids in ascending order, which is that of the trie's rows;
      then, up to a rounded size, a number greater than any symbol.
    part_width: static; symbols of which a device holds the head: V, where one
      device holds it all.
  """

  marks: Int[Array, "C W"]
  symbols: Int[Array, "U"]
  part_width: int = flax.struct.field(pytree_node=False)

  @classmethod
  def place(
    cls,
    trie: Trie,
    *,
    chunk: int = CHUNK,
    round_up: Callable[[int], int] = device_trie.round_up,
  ) -> Self:
    """Copies the docids of a trie to the default device.

    Args:
      trie: docids of one symbol.
      chunk: symbols that are scored at a time, at most; so many scores for
        each query, and so many rows of the head, are what a search adds to
        memory. From 8,192 to 16,384 were fastest on CPU (V a million, D 256,
        8 and 64 queries, 10 and 100 beams).
      round_up: rounds the number of docids, so that collections of about a
        size with the same V share a compiled search.

    Raises:
      UserError: a docid has more than one symbol, or the chunk has none.
    """
    index = host_index(
      trie, chunk=chunk, round_up=round_up, part_width=trie.vocab_size
    )
    return jax.device_put(index)

  @property
  def chunk(self) -> int:
    """W, the symbols scored at a time."""
    return self.marks.shape[1]

  @property
  def capacity(self) -> int:
    """At least the number of docids; no search finds more."""
    return self.symbols.shape[0]


def search(
  decoder: Decoder,
  encoded: Encoded,
  index: AtomicIndex,
  *,
  num_beams: int,
  scoring: Scoring = "raw",
  recall_target: float | None = None,
) -> Beams:
  """Finds the K best docids of one symbol; what `beam_search` would find.

  Docids are compared by their logits. Rounding may give two of different
  logits the same score; they stand in docid order like any others that tie,
  but the one with the lesser logit may be the K+1st.

  Args:
    decoder: the model; a pytree.
    encoded: the encoder's output for B queries, batch first in every leaf.
    index: the docids.
    num_beams: K, static; may exceed the number of docids.
    scoring: static. "raw": log-probabilities among all V symbols.
      "renormalised": among the docids alone, which gives the same ranking.
    recall_target: static. None finds the K best. A number in (0, 1) lets
      `jax.lax.approx_max_k` look for the best of each chunk, and on a TPU
      miss some: the number is the expected share found. Elsewhere XLA knows
      no approximation, and the K best are found as exactly and as fast.

  Returns:
    Rows of the trie, best first; equal scores in docid order. Docids with a
    log-probability of -inf are not among them.

  Raises:
    UserError: fewer than one beam, an unknown scoring, or a recall that is no
      share.
  """
  check(num_beams, scoring, recall_target)
  found = best_docids(
    decoder,
    encoded,
    index,
    first_symbol=0,
    num_beams=num_beams,
    scoring=scoring,
    recall_target=recall_target,
  )
  return ranked(found, index, num_beams)


def check(num_beams: int, scoring: str, recall_target: float | None) -> None:
  """Refuses what no search can do.

  Raises:
    UserError: fewer than one beam, an unknown scoring, or a recall that is no
      share.
  """
  beam_search.check(num_beams, scoring)
  if recall_target is not None and not 0 < recall_target < 1:
    raise UserError(
      f"recall_target is a share in (0, 1), or None to be exact; got"
      f" {recall_target}"
    )


def host_index(
  trie: Trie,
  *,
  chunk: int,
  part_width: int,
  num_parts: int = 1,
  round_up: Callable[[int], int] = device_trie.round_up,
) -> AtomicIndex:
  """Makes an index in host memory.

  Args:
    trie: docids of one symbol.
    chunk: symbols that are scored at a time, at most.
    part_width: symbols of which a device holds the head.
    num_parts: how many devices do; together they hold at least V. Their
      chunks follow one another.
    round_up: rounds the number of docids.

  Raises:
    UserError: a docid has more than one symbol, or the chunk has none.
  """
  if trie.length != 1:
    raise UserError(
      f"atomic docids have one symbol, these up to {trie.length}; search them"
      " with beam_search"
    )
  if chunk < 1:
    raise UserError(f"a chunk has at least 1 symbol, got {chunk}")
  symbols = np.asarray(trie.rows[:, 0], np.int32)
  kinds = np.zeros(num_parts * part_width, np.uint8)
  kinds[: trie.vocab_size] = _SYMBOL
  kinds[symbols] = _DOCID
  width = _width(part_width, chunk)
  marks = []
  for part in kinds.reshape(num_parts, part_width):
    firsts = _firsts(-(-part_width // width), width, part_width)
    marks += [part[first : first + width].copy() for first in firsts]
    marks[-1][: len(firsts) * width - part_width] = _NOTHING
  more = round_up(len(symbols)) - len(symbols)
  beyond = np.iinfo(np.int32).max
  return AtomicIndex(
    marks=np.stack(marks),
    symbols=np.pad(symbols, (0, more), constant_values=beyond),
    part_width=part_width,
  )


def _width(part_width: int, chunk: int) -> int:
  """Returns the width of equal chunks, whole blocks if it can be.

  Chunks of the greatest width would leave a short last one, which costs as
  much as any.

  >>> _width(100_002, 1 << 14), _width(1000, 1 << 14), _width(200, 7)
  (14336, 1000, 7)
  """
  chunks = -(-part_width // chunk)
  width = -(-part_width // (chunks * BLOCK)) * BLOCK
  return min(width, chunk, part_width)


def _firsts(chunks: int, width: int, part_width: int) -> Int[np.ndarray, "C"]:
  """Returns where each chunk of a part begins, counted from the part's start.

  >>> _firsts(3, 4, 10).tolist()
  [0, 4, 6]
  """
  return np.minimum(np.arange(chunks) * width, part_width - width)


@flax.struct.dataclass(kw_only=True)
class Found:
  """The best of some symbols, best first, and the sum over all of them.

  Attributes:
    logits: -inf where there is no docid.
    symbols: anything where there is none.
    total: the log of the sum of the exponentials of what is counted.
  """

  logits: Float[Array, "B K"]
  symbols: Int[Array, "B K"]
  total: Float[Array, "B"]


def best_docids(
  decoder: Decoder,
  encoded: Encoded,
  index: AtomicIndex,
  *,
  first_symbol: int | Int[Array, ""],
  num_beams: int,
  scoring: Scoring,
  recall_target: float | None,
) -> Found:
  """Walks the chunks of one part, of which `index` holds the marks.

  Chunks come in the order of their symbols and what was found before stands
  first in each merge, so of equal logits the smaller symbol is kept.

  Args:
    decoder: the model, with the head's part alone.
    encoded: the encoder's output.
    index: the docids, with the marks of the part alone.
    first_symbol: the one with which the part begins.
    num_beams: K; fewer are returned where there are fewer docids.
    scoring: what is summed.
    recall_target: None to be exact.
  """
  batch = len(jax.tree.leaves(encoded)[0])
  bos = jnp.zeros((batch, 1, 1), jnp.int32)
  hidden, _ = decoder.step(decoder.start(encoded), None, bos, 0)
  hidden = hidden[:, 0, 0]  # [B, D]
  most = min(num_beams, index.capacity)
  none = jnp.full((batch, most), -jnp.inf), jnp.zeros((batch, most), jnp.int32)

  def step(best: tuple[Array, Array], chunk: tuple[Array, Array]):
    first, marks = chunk
    logits = decoder.logits_between(hidden, first, width=index.chunk)  # [B, W]
    counted = _DOCID if scoring == "renormalised" else _SYMBOL
    total = jax.nn.logsumexp(logits, axis=-1, where=marks >= counted)  # [B]
    logits, place = _best(
      jnp.where(marks == _DOCID, logits, -jnp.inf),
      min(most, index.chunk),
      recall_target=recall_target,
      among=max(index.capacity, index.chunk),
    )
    logits = jnp.concatenate([best[0], logits], axis=-1)
    symbols = jnp.concatenate([best[1], first + place], axis=-1)
    logits, order = jax.lax.top_k(logits, most)
    return (logits, jnp.take_along_axis(symbols, order, axis=-1)), total

  firsts = _firsts(len(index.marks), index.chunk, index.part_width)
  chunks = jnp.asarray(firsts, jnp.int32), index.marks
  (logits, symbols), totals = jax.lax.scan(step, none, chunks)
  return Found(
    logits=logits,
    symbols=symbols + first_symbol,
    total=jax.nn.logsumexp(totals, axis=0),
  )


def _best(
  scores: Float[Array, "B W"],
  k: int,
  *,
  recall_target: float | None,
  among: int,
) -> tuple[Float[Array, "B k"], Int[Array, "B k"]]:
  """Returns the k best scores of a chunk and their places.

  Args:
    scores: of the chunk.
    k: how many; at most W.
    recall_target: None to be exact.
    among: docids of all chunks, for whose k best the recall is meant.
  """
  if recall_target is not None:
    return jax.lax.approx_max_k(
      scores,
      k,
      recall_target=recall_target,
      reduction_input_size_override=among,
    )
  return top_k(blocks(scores), k)


def ranked(found: Found, index: AtomicIndex, num_beams: int) -> Beams:
  """Turns symbols to rows, sorts them, and fills up to K places."""
  valid = found.logits > -jnp.inf
  scores = jnp.where(valid, found.logits - found.total[:, None], -jnp.inf)
  rows = jnp.searchsorted(index.symbols, found.symbols).astype(jnp.int32)
  # Scores that rounding made equal are sorted again, now by row.
  losses, rows = jax.lax.sort((-scores, rows), num_keys=2)
  valid = losses < jnp.inf
  missing = [(0, 0), (0, num_beams - rows.shape[1])]
  return Beams(
    rows=jnp.pad(jnp.where(valid, rows, -1), missing, constant_values=-1),
    scores=jnp.pad(-losses, missing, constant_values=-jnp.inf),
    valid=jnp.pad(valid, missing),
  )
