"""T5 as a Decoder: what the constrained search steps through."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Bool, Float, Float32, Int

from genret.core import errors
from genret.models import layers, positions
from genret.models.sizes import T5Config


@struct.dataclass
class Encoded:
  """B encoded queries.

  Attributes:
    states: [B, L, D], the encoder's output.
    mask: [B, L], False on pads.
  """

  states: Float[Array, "B L D"]
  mask: Bool[Array, "B L"]


@struct.dataclass
class Cache:
  """What decoding remembers.

  Attributes:
    cross: for each layer, keys and values of the inputs [B, L, H, Dh]; they
      belong to a query, and never move.
    cross_bias: [B, 1, 1, L], the mask of the inputs.
    own: for each layer, keys and values of the decoder's earlier positions
      [B, K, T, H, Dh], one row a slot.
  """

  cross: tuple[layers.KeysValues, ...]
  cross_bias: Float32[Array, "B 1 1 L"]
  own: tuple[layers.KeysValues, ...]


@struct.dataclass
class T5Stepper:
  """Decodes with T5 step by step; a `genret.decoding.decoder.Decoder`.

  It is a pytree, its parameters leaves and its configuration static, so it
  can be an argument of a jitted search.

  Attributes:
    params: the parameter tree of `T5`.
    config: of the model; its docid_length T is the size of the cache.
  """

  params: Any
  config: T5Config = struct.field(pytree_node=False)

  def encode(self, inputs: Int[Array, "B L"]) -> Encoded:
    """Encodes queries.

    Args:
      inputs: text ids; 0 pads.
    """
    states = layers.encode(self.params, self.config, inputs)
    return Encoded(states=states, mask=inputs > 0)

  def start(self, encoded: Encoded) -> Cache:
    """Projects the inputs for cross-attention, once a query; K = 1 slot."""
    config = self.config
    batch = encoded.states.shape[0]
    shape = (batch, 1, self._length, config.num_heads, config.head_dim)
    empty = jnp.zeros(shape, encoded.states.dtype)
    cross = layers.cross_keys_values(self.params, config, encoded.states)
    return Cache(
      cross=tuple(cross),
      cross_bias=positions.mask_bias(encoded.mask)[:, None, None, :],
      own=((empty, empty),) * config.num_decoder_layers,
    )

  def step(
    self,
    cache: Cache,
    parents: Int[Array, "B K"],
    symbols: Int[Array, "B K"],
    t: int | Int[Array, ""],
  ) -> tuple[Float[Array, "B K D"], Cache]:
    """Reads position t of every slot.

    Args:
      cache: as the previous step returned it.
      parents: slot of the previous step that each slot continues.
      symbols: symbol t - 1 of each slot's docid; 0 (BOS) when t = 0.
      t: the position.

    Returns:
      What the head reads [B, K, D], and the cache in the order of this step.
    """
    own = []

    def remember(index: int, fresh: layers.KeysValues) -> layers.KeysValues:
      earlier = cache.own[index]
      kept = tuple(
        jax.lax.dynamic_update_slice_in_dim(_follow(old, parents), new, t, 2)
        for old, new in zip(earlier, fresh, strict=True)
      )
      own.append(kept)
      return kept

    bias = positions.causal_bias(self.params, self.config, self._length)
    context = layers.DecoderContext(
      cross=cache.cross,
      cross_bias=cache.cross_bias,
      self_bias=jax.lax.dynamic_slice_in_dim(bias, t, 1, axis=1),  # [H, 1, T]
      remember=remember,
    )
    hidden = layers.decode(
      self.params, self.config, symbols[:, :, None], context=context
    )
    return hidden[:, :, 0], cache.replace(own=tuple(own))

  def logits(
    self, hidden: Float[Array, "B K D"], t: int | Int[Array, ""]
  ) -> Float32[Array, "B K V"]:
    """Scores every symbol; the head is the same at every position t."""
    del t
    return layers.logits(self.params, self.config, hidden)

  def logits_at(
    self,
    hidden: Float[Array, "B K D"],
    t: int | Int[Array, ""],
    candidates: Int[Array, "B K W"],
  ) -> Float32[Array, "B K W"]:
    """Scores the candidate symbols only, of width W."""
    return jnp.take_along_axis(self.logits(hidden, t), candidates, axis=-1)

  def score_forced(
    self,
    cache: Cache,
    rows: Int[Array, "B K T"],
    start: Int[Array, "B K"],
  ) -> Float32[Array, "B K"]:
    """Sums the log-probabilities of symbols t >= start, in one pass.

    Args:
      cache: any cache of these queries; only what belongs to the query is
        used, so K is free.
      rows: whole docids, 0 after their end.
      start: the first position that counts.
    """
    rows = rows.astype(jnp.int32)
    length = rows.shape[-1]
    context = layers.DecoderContext(
      cross=cache.cross,
      cross_bias=cache.cross_bias,
      self_bias=positions.causal_bias(self.params, self.config, length),
    )
    shifted = jnp.pad(rows[..., :-1], ((0, 0), (0, 0), (1, 0)))
    hidden = layers.decode(self.params, self.config, shifted, context=context)

    def add(total: Array, position: tuple[Array, Array, Array]):
      t, hidden_at_t, symbols = position
      counts = (start <= t) & (symbols > 0)
      # One position at a time keeps a single [B, K, V] alive, and positions
      # that nobody counts skip the head.
      gain = jax.lax.cond(
        counts.any(),
        lambda: self._log_probability(hidden_at_t, symbols, t),
        lambda: jnp.zeros(symbols.shape, jnp.float32),
      )
      return total + jnp.where(counts, gain, 0.0), None

    by_position = (
      jnp.arange(length),
      jnp.moveaxis(hidden, 2, 0),  # [T, B, K, D]
      jnp.moveaxis(rows, 2, 0),  # [T, B, K]
    )
    zeros = jnp.zeros(start.shape, jnp.float32)
    return jax.lax.scan(add, zeros, by_position)[0]

  def _log_probability(self, hidden: Array, symbols: Array, t: Array) -> Array:
    scores = self.logits(hidden, t)
    picked = jnp.take_along_axis(scores, symbols[..., None], axis=-1)[..., 0]
    return picked - jax.nn.logsumexp(scores, axis=-1)

  @property
  def _length(self) -> int:
    if self.config.docid_length is None:
      raise errors.ConfigError(
        "decoding needs to know how long docids are; set docid_length of the"
        " T5Config to the table's length T (EOS counted)."
      )
    return self.config.docid_length


def _follow(old: Array, parents: Int[Array, "B K"]) -> Array:
  """Gathers slots of the previous step: [B, K_old, ...] to [B, K, ...]."""
  if old.shape[1] == 1:
    return jnp.broadcast_to(old, (*parents.shape, *old.shape[2:]))
  return jax.vmap(lambda row, parent: row[parent])(old, parents)
