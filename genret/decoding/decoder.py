"""What the search asks of a model: five pure functions on pytrees."""

from typing import Any, Protocol

from jax import Array
from jaxtyping import Float, Int

Encoded = Any
Cache = Any


class Decoder(Protocol):
  """A model that writes docids one symbol at a time.

  An implementation is a registered pytree (`flax.struct.dataclass` with its
  parameters as leaves and its configuration static), so that it can be an
  argument of a jitted search and new parameters do not recompile it.

  A *slot* is one of the K places of a query's beams. K is static, and differs
  between calls: the search takes step 0 with one slot, and the first steps
  with no more slots than there are prefixes. `parents` says for each new slot
  which slot of the previous step it continues, so that per-slot leaves of the
  cache, [B, K_old, ...], are gathered to [B, K, ...] inside `step`. What
  belongs to a query (cross-attention keys and values) has no slot axis and
  never moves. The shapes and dtypes of the cache depend on B and K alone:
  the same K in and out gives the same cache, so that a loop can carry it. It
  has room for as many positions as the longest docid has symbols.

  Slots without a beam, and beams that are finished, are stepped like the rest
  (symbol 0); what comes out for them is finite and never read.
  """

  def start(self, encoded: Encoded) -> Cache:
    """Returns the cache before any symbol: one slot, K = 1.

    Args:
      encoded: what the encoder made of B queries; a pytree whose leaves all
        have the batch as their first axis.
    """
    ...

  def step(
    self,
    cache: Cache,
    parents: Int[Array, "B K"] | None,
    symbols: Int[Array, "B K S"],
    t: int | Int[Array, ""],
  ) -> tuple[Float[Array, "B K S D"], Cache]:
    """Reads S positions of every slot, from position t on.

    A search reads one position a step. Where the symbols are known beforehand,
    as those of a docid that no other shares, it reads several in one pass.

    Args:
      cache: as the previous step returned it.
      parents: slot of the previous step that each slot continues; None where
        each continues itself.
      symbols: symbols t - 1 to t + S - 2 of each slot's docid; the one before
        the first is 0 (BOS).
      t: the first position, a Python int or a traced scalar; t + S is at most
        the length T.

    Returns:
      What the head reads to predict symbols t to t + S - 1, and the cache, its
      slots now in the order of this step.
    """
    ...

  def logits(
    self, hidden: Float[Array, "B K D"], t: int | Int[Array, ""]
  ) -> Float[Array, "B K V"]:
    """Scores every symbol at position t; fp32, padded columns at -inf or so."""
    ...

  def logits_at(
    self,
    hidden: Float[Array, "B K D"],
    t: int | Int[Array, ""],
    candidates: Int[Array, "B K W"],
  ) -> Float[Array, "B K W"]:
    """Scores the candidate symbols only: `logits` gathered at them.

    How is the decoder's choice: gathering W columns of the head pays where W
    is far below V, one product with the whole head where it is not.
    """
    ...

  def logits_between(
    self, hidden: Float[Array, "B D"], first: Int[Array, ""], *, width: int
  ) -> Float[Array, "B W"]:
    """Scores symbols first to first + width - 1 at position 0.

    The columns of `logits` that a search over millions of atomic docids holds
    at a time. first + width is at most the width of the head; columns by
    which it was rounded up are at -inf or so.
    """
    ...
