"""A decoder that steps only the slots from which something is wanted."""

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from genret.decoding.decoder import Cache, Decoder, Encoded

_FEWEST = 4  # slots; a program for fewer saves nothing worth compiling it
_HALVINGS = 3


@flax.struct.dataclass
class ThriftyCache:
  """Where the slots are in the cache of the decoder below.

  Attributes:
    below: its cache.
    places: the slot there of each slot here; of an idle one, anything.
  """

  below: Cache
  places: Int[Array, "B K"]


@flax.struct.dataclass
class Thrifty:
  """A `Decoder` over another, whose slots may be idle.

  A slot is idle where its parent is -1: what comes out for it is finite and
  never to be read, and no slot may continue it. Busy slots are moved together,
  and the decoder below steps as many as the busiest query needs, rounded up to
  K, K / 2, K / 4 or K / 8: the shapes are compiled beforehand, and the step
  takes one of them.

  Attributes:
    decoder: the one below.
  """

  decoder: Decoder

  def start(self, encoded: Encoded) -> ThriftyCache:
    """Returns the cache before any symbol."""
    batch = len(jax.tree.leaves(encoded)[0])
    places = jnp.zeros((batch, 1), jnp.int32)
    return ThriftyCache(self.decoder.start(encoded), places)

  def step(
    self,
    cache: ThriftyCache,
    parents: Int[Array, "B K"],
    symbols: Int[Array, "B K S"],
    t: int | Int[Array, ""],
  ) -> tuple[Float[Array, "B K S D"], ThriftyCache]:
    """Reads S positions of every busy slot; see `Decoder.step`."""
    idle = parents < 0
    places = _along(cache.places, jnp.maximum(parents, 0))
    slots = parents.shape[1]
    if cache.places.shape[1] != slots:
      hidden, below = self.decoder.step(cache.below, places, symbols, t)
      every = jnp.broadcast_to(jnp.arange(slots), parents.shape)
      return hidden, ThriftyCache(below, every)
    busy_first = jnp.argsort(idle, axis=-1, stable=True)
    sizes = _sizes(slots)
    most = (~idle).sum(axis=-1).max()
    which = (most <= jnp.array(sizes)).sum() - 1

    def some(size: int) -> tuple[Array, ThriftyCache]:
      chosen = busy_first[:, :size]
      moved = jnp.take_along_axis(symbols, chosen[..., None], axis=1)
      hidden, below = self.decoder.step(
        cache.below, _along(places, chosen), moved, t
      )
      batch = jnp.arange(len(chosen))[:, None]
      everywhere = jnp.zeros((*parents.shape, *hidden.shape[2:]), hidden.dtype)
      below = jax.tree.map(_grown, below, cache.below)
      return everywhere.at[batch, chosen].set(hidden), ThriftyCache(
        below, jnp.zeros_like(parents).at[batch, chosen].set(jnp.arange(size))
      )

    return jax.lax.switch(which, [lambda s=size: some(s) for size in sizes])

  def logits(self, hidden: Array, t: int | Array) -> Array:
    """Scores every symbol."""
    return self.decoder.logits(hidden, t)

  def logits_at(
    self, hidden: Array, t: int | Array, candidates: Array
  ) -> Array:
    """Scores the candidate symbols."""
    return self.decoder.logits_at(hidden, t, candidates)

  def logits_between(self, hidden: Array, first: Array, *, width: int) -> Array:
    """Scores symbols that follow one another."""
    return self.decoder.logits_between(hidden, first, width=width)


def _sizes(slots: int) -> list[int]:
  """Returns the numbers of slots that are compiled, greatest first.

  >>> _sizes(40), _sizes(10), _sizes(3)
  ([40, 20, 10, 5], [10, 5], [3])
  """
  halves = [-(-slots >> power) for power in range(1, _HALVINGS + 1)]
  return [slots, *(size for size in halves if _FEWEST <= size < slots)]


def _grown(leaf: Array, like: Array) -> Array:
  """Fills a leaf of fewer slots up to those of another; others stay."""
  missing = [
    (0, most - size) for size, most in zip(leaf.shape, like.shape, strict=True)
  ]
  return jnp.pad(leaf, missing)


def _along(array: Array, index: Int[Array, "B K"]) -> Array:
  return jnp.take_along_axis(array, index, axis=-1)
