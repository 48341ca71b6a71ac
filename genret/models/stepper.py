"""T5 as a Decoder: what the constrained search steps through."""

from collections.abc import Callable
from typing import Any, Self

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Bool, Float, Float32, Int

from genret.core import errors
from genret.models import encoders, layers, pawa, positions
from genret.models.fused import fuse
from genret.models.sizes import T5Config

# Gathering a row of the head costs about as much as multiplying so many.
GATHER_COST = 64


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
    cross: for each layer, keys and values of the inputs [B, H, L, Dh]; they
      belong to a query, and never move.
    cross_bias: [B, 1, 1, L], the mask of the inputs.
    own: for each layer, keys and values of the decoder's earlier positions
      [B, K, H, T, Dh], one row a slot.
    prefix: the same of the adaptor's layers, of a prefix-aware head.
  """

  cross: tuple[layers.KeysValues, ...]
  cross_bias: Float32[Array, "B 1 1 L"]
  own: tuple[layers.KeysValues, ...]
  prefix: tuple[layers.KeysValues, ...] = ()


@struct.dataclass
class T5Stepper:
  """Decodes with T5 step by step; a `genret.decoding.decoder.Decoder`.

  It is a pytree, its parameters leaves and its configuration static, so it
  can be an argument of a jitted search. Made by `create`, outside of it.

  Attributes:
    params: the parameter tree of `T5`, fused.
    config: of the model; its docid_length T is the size of the cache.
  """

  params: Any
  config: T5Config = struct.field(pytree_node=False)

  @classmethod
  def create(cls, params: Any, config: T5Config) -> Self:
    """Prepares parameters for searching; the arrays are copied.

    Args:
      params: the parameter tree of `T5`.
      config: of the model.
    """
    return cls(params=fuse(params), config=config)

  def encode(self, inputs: Int[Array, "B L"]) -> Encoded:
    """Encodes queries.

    Args:
      inputs: text ids; 0 pads.
    """
    states = encoders.encode(self.params, self.config, inputs)
    return Encoded(states=states, mask=inputs > 0)

  def start(self, encoded: Encoded) -> Cache:
    """Projects the inputs for cross-attention, once a query; K = 1 slot."""
    config = self.config
    cross = layers.cross_keys_values(self.params, config, encoded.states)
    return Cache(
      cross=tuple(cross),
      cross_bias=positions.mask_bias(encoded.mask)[:, None, None, :],
      own=self._empty(config, encoded),
      prefix=()
      if config.pawa is None
      else self._empty(config.adaptor, encoded),
    )

  def _empty(
    self, config: T5Config, encoded: Encoded
  ) -> tuple[layers.KeysValues, ...]:
    """Returns the keys and values of a stack that has read nothing."""
    batch = encoded.states.shape[0]
    shape = (batch, 1, config.num_heads, self._length, config.head_dim)
    empty = jnp.zeros(shape, encoded.states.dtype)
    return ((empty, empty),) * config.num_decoder_layers

  def step(
    self,
    cache: Cache,
    parents: Int[Array, "B K"] | None,
    symbols: Int[Array, "B K S"],
    t: int | Int[Array, ""],
  ) -> tuple[Float[Array, "B K S D"], Cache]:
    """Reads positions t to t + S - 1 of every slot.

    Args:
      cache: as the previous step returned it.
      parents: slot of the previous step that each slot continues; None where
        each continues itself.
      symbols: those before the positions read; 0 (BOS) before the first.
      t: the first position.

    Returns:
      What the head reads, and the cache in the order of this step.
    """
    own, remember = _remembering(cache.own, parents, t)
    bias = positions.causal_bias(self.params, self.config, self._length)
    read = symbols.shape[-1]
    context = layers.DecoderContext(
      cross=cache.cross,
      cross_bias=cache.cross_bias,
      self_bias=jax.lax.dynamic_slice_in_dim(
        bias, t, read, axis=1
      ),  # [H, S, T]
      remember=remember,
    )
    hidden = layers.decode(self.params, self.config, symbols, context=context)
    if self.config.pawa is None:
      return hidden, cache.replace(own=tuple(own))
    prefix, remember = _remembering(cache.prefix, parents, t)
    bias = pawa.causal_bias(self.params, self.config, self._length)
    adapted = pawa.adapt(
      self.params,
      self.config,
      symbols,
      bias=jax.lax.dynamic_slice_in_dim(bias, t, read, axis=1),
      remember=remember,
    )
    hidden = jnp.concatenate([hidden, adapted], axis=-1)
    return hidden, cache.replace(own=tuple(own), prefix=tuple(prefix))

  def logits(
    self, hidden: Float[Array, "*B D"], t: int | Int[Array, ""]
  ) -> Float32[Array, "*B V"]:
    """Scores every symbol; the plain head is the same at every position t."""
    if self.config.pawa is not None:
      state, adapted = jnp.split(hidden, 2, axis=-1)
      return pawa.logits_after(
        self.params, self.config, state, adapted=adapted, t=t
      )
    head = self._head
    scores = jnp.einsum("...d,vd->...v", hidden.astype(jnp.float32), head)
    return self._real(scores, jnp.arange(len(head)))

  def logits_at(
    self,
    hidden: Float[Array, "B K D"],
    t: int | Int[Array, ""],
    candidates: Int[Array, "B K W"],
  ) -> Float32[Array, "B K W"]:
    """Scores the candidate symbols only, of width W.

    Few of them are the products with their own rows of the head; of many, the
    product with all rows is the cheaper, and a prefix-aware head has them of a
    level together.
    """
    adapts = self.config.pawa is not None
    if adapts or candidates.shape[-1] * GATHER_COST >= len(self._head):
      return jnp.take_along_axis(self.logits(hidden, t), candidates, axis=-1)
    rows = self._head[candidates]  # [B, K, W, D]
    return jnp.einsum("bkd,bkwd->bkw", hidden.astype(jnp.float32), rows)

  def logits_between(
    self,
    hidden: Float[Array, "B D"],
    first: Int[Array, ""],
    *,
    width: int,
  ) -> Float32[Array, "B W"]:
    """Scores the symbols from `first` on, so many of them, at position 0."""
    rows = jax.lax.dynamic_slice_in_dim(self._head, first, width)
    scores = hidden.astype(jnp.float32) @ rows.T
    return self._real(scores, first + jnp.arange(width))

  @property
  def _head(self) -> Float32[Array, "V D"]:
    return self.params["decoder"]["logits_dense"]["rows"]

  def _real(self, scores: Array, symbols: Int[Array, "V"]) -> Array:
    """Masks the columns by which the head's width was rounded up."""
    if self.config.head_width == self.config.num_symbols:
      return scores
    real = symbols < self.config.num_symbols
    return jnp.where(real, scores, layers.NO_SYMBOL)

  @property
  def _length(self) -> int:
    if self.config.docid_length is None:
      raise errors.ConfigError(
        "decoding needs to know how long docids are; set docid_length of the"
        " T5Config to the table's length T (EOS counted)."
      )
    return self.config.docid_length


def _remembering(
  kept: tuple[layers.KeysValues, ...],
  parents: Int[Array, "B K"] | None,
  t: int | Int[Array, ""],
) -> tuple[
  list[layers.KeysValues],
  Callable[[int, layers.KeysValues], layers.KeysValues],
]:
  """Returns what a stack's layers remember with, and what they then have."""
  own = []

  def remember(index: int, fresh: layers.KeysValues) -> layers.KeysValues:
    both = tuple(
      jax.lax.dynamic_update_slice_in_dim(_follow(old, parents), new, t, 3)
      for old, new in zip(kept[index], fresh, strict=True)
    )
    own.append(both)
    return both

  return own, remember


def _follow(old: Array, parents: Int[Array, "B K"] | None) -> Array:
  """Gathers slots of the previous step: [B, K_old, ...] to [B, K, ...]."""
  if parents is None:
    return old
  if old.shape[1] == 1:
    return jnp.broadcast_to(old, (*parents.shape, *old.shape[2:]))
  return jax.vmap(lambda row, parent: row[parent])(old, parents)
