"""The numeric code of T5.1.1: pure functions on plain parameter dicts.

The linen modules of `t5.py` only declare parameters; training, encoding and
step-by-step decoding (`stepper.py`) all run the functions below, so nothing
is computed in two ways. Raffel et al., arXiv 1910.10683; Shazeer, "GLU
Variants Improve Transformer", arXiv 2002.05202, for the gated MLP.

Parameters stay float32; each function casts them to the dtype of the
activations it is given. Norms' statistics, softmax and logits are float32.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Float32, Int

from genret.models import stack
from genret.models.activations import constrain
from genret.models.positions import mask_bias, position_bias
from genret.models.sizes import T5Config

Parameters = Mapping[str, Any]
KeysValues = tuple[Float[Array, "*B H L Dh"], Float[Array, "*B H L Dh"]]

SELF = ("query", "key", "value")
CROSS = ("key", "value")
GATED = ("wi_0", "wi_1")
NO_SYMBOL = -1e9  # The logit of a padded head column.


@dataclasses.dataclass(frozen=True)
class Dropout:
  """Dropout whose mask is shared along the length, as T5's is everywhere.

  Sharing it costs one random number a row and channel instead of one a
  symbol.

  Attributes:
    rate: share of values set to zero.
    key: random key; None switches dropout off.
  """

  rate: float
  key: Array | None = None

  def __call__(self, x: Array, site: int, *, shared_axis: int = -2) -> Array:
    """Returns x with values dropped by the mask that belongs to `site`."""
    if self.key is None or self.rate == 0.0:
      return x
    shape = list(x.shape)
    shape[shared_axis] = 1
    keep = 1.0 - self.rate
    mask = jax.random.bernoulli(
      jax.random.fold_in(self.key, site), keep, tuple(shape)
    )
    return x * (mask.astype(x.dtype) / jnp.asarray(keep, x.dtype))

  def within(self, index: int) -> "Dropout":
    """Returns the dropout of part `index`, its masks apart from the others."""
    if self.key is None:
      return self
    return Dropout(self.rate, jax.random.fold_in(self.key, index))


OFF = Dropout(0.0)


def rms_norm(x: Float[Array, "*B D"], scale: Float[Array, "D"]) -> Array:
  """Normalises by the root mean square: no mean, no bias (arXiv 1910.07467)."""
  wide = x.astype(jnp.float32)
  mean_square = jnp.mean(jnp.square(wide), axis=-1, keepdims=True)
  unit = wide * jax.lax.rsqrt(mean_square + 1e-6)
  return unit.astype(x.dtype) * scale.astype(x.dtype)


@jax.custom_vjp
def multiply(x: Float[Array, "*B I"], kernel: Float32[Array, "I O"]) -> Array:
  """Multiplies by a kernel in the dtype of what it is given."""
  return x @ kernel.astype(x.dtype)


def _multiply_forward(x: Array, kernel: Array):
  # The product itself, not `multiply`: rematerialisation must see that it is
  # one to keep it.
  return x @ kernel.astype(x.dtype), (x, kernel)


def _multiply_backward(residuals, gradient: Array):
  x, kernel = residuals
  rows = x.reshape(-1, x.shape[-1])
  rows_gradient = gradient.reshape(-1, gradient.shape[-1])
  for_kernel = jnp.matmul(
    rows.T, rows_gradient, preferred_element_type=jnp.float32
  )
  return gradient @ kernel.astype(x.dtype).T, for_kernel.astype(kernel.dtype)


# Left to itself JAX contracts over several axes and transposes the product;
# XLA then copies the tall activations into that order first, a quarter of a
# training step on a CPU. Over flat rows it does not. This rule also sums the
# kernel's gradient in float32 under bfloat16.
multiply.defvjp(_multiply_forward, _multiply_backward)


def dense(x: Float[Array, "*B I"], params: Parameters) -> Array:
  """Multiplies by the kernel; T5 has no biases."""
  return multiply(x, params["kernel"])


def projections(
  params: Parameters, x: Float[Array, "*B D"], names: Sequence[str]
) -> list[Array]:
  """Multiplies by several kernels, in one product where `fuse` joined them."""
  joined = params.get("+".join(names))
  if joined is None:
    return [dense(x, params[name]) for name in names]
  return jnp.split(dense(x, joined), len(names), axis=-1)


def gated_mlp(params: Parameters, x: Float[Array, "*B D"], drop: Dropout):
  """Applies the gated MLP: (gelu(x wi_0) * x wi_1) wo, tanh's gelu."""
  gate, linear = projections(params, x, GATED)
  hidden = drop(jax.nn.gelu(gate, approximate=True) * linear, 0)
  return dense(constrain(hidden, "batch", "mlp"), params["wo"])


def split_heads(x: Float[Array, "*B L J"], num_heads: int) -> Array:
  """Splits the joined axis J into heads: [*B, H, L, Dh].

  Heads come before positions because every product of an attention wants them
  there: a cache that is kept so is read two to three times as fast.
  """
  heads = jnp.swapaxes(x.reshape(*x.shape[:-1], num_heads, -1), -3, -2)
  return constrain(heads, "batch", "heads", "length", "kv")


def attend(
  params: Parameters,
  queries: Float[Array, "*B H Q Dh"],
  attended: KeysValues,
  *,
  bias: Float32[Array, "*#B #H #Q L"],
  drop: Dropout = OFF,
) -> Float[Array, "*B Q D"]:
  """Reads the attended values.

  T5 does not divide the scores by sqrt(Dh): its query kernels start smaller.

  Args:
    params: with the `out` kernel.
    queries: projected.
    attended: keys and values.
    bias: relative position bias and mask, added to the scores.
    drop: dropout of the attention weights.
  """
  keys, values = attended
  scores = jnp.einsum(
    "...qd,...kd->...qk", queries, keys, preferred_element_type=jnp.float32
  )
  weights = jax.nn.softmax(scores + bias, axis=-1).astype(queries.dtype)
  mixed = drop(weights, 0) @ values  # [*B, H, Q, Dh]
  mixed = jnp.swapaxes(mixed, -3, -2)
  joined = mixed.reshape(*mixed.shape[:-2], -1)  # [*B, Q, H * Dh]
  return dense(joined, params["out"])


def segment_bias(
  queries: Int[Array, "B Q"], keys: Int[Array, "B L"]
) -> Float32[Array, "B 1 Q L"]:
  """Masks what is in another segment than the query; pads are one too."""
  return mask_bias(queries[:, None, :, None] == keys[:, None, None, :])


def encoder_layer(
  params: Parameters,
  x: Float[Array, "B L D"],
  *,
  bias: Float32[Array, "B H L L"],
  num_heads: int,
  drop: Dropout = OFF,
  remember: Callable[[KeysValues], KeysValues] = lambda fresh: fresh,
) -> Float[Array, "B L D"]:
  """Applies self-attention and MLP, each behind a norm, to the residual."""
  normed = rms_norm(x, params["pre_attention_layer_norm"]["scale"])
  attention = params["attention"]
  queries, keys, values = (
    split_heads(part, num_heads)
    for part in projections(attention, normed, SELF)
  )
  attended = remember((keys, values))
  y = attend(attention, queries, attended, bias=bias, drop=drop.within(0))
  x = x + drop(y, 1)
  normed = rms_norm(x, params["pre_mlp_layer_norm"]["scale"])
  return x + drop(gated_mlp(params["mlp"], normed, drop.within(2)), 3)


def keys_values(
  params: Parameters,
  config: T5Config,
  encoded: Float[Array, "B L D"],
) -> KeysValues:
  """Projects the encoded inputs for a decoder layer's cross-attention."""
  attention = params["encoder_decoder_attention"]
  keys, values = projections(attention, encoded, CROSS)
  return (
    split_heads(keys, config.num_heads),
    split_heads(values, config.num_heads),
  )


def same_row(index: int, fresh: KeysValues) -> KeysValues:
  """Remembers nothing: a full pass attends to its own keys and values."""
  del index
  return fresh


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderContext:
  """What a decoder attends to besides its own input.

  Attributes:
    cross: for each layer, keys and values of the inputs [B, H, L, Dh]. They
      are never repeated for beams: the beams and positions of a query stand
      side by side in one axis. Or, where a row is decoded in one pass, how a
      layer's parameters make them.
    cross_bias: [B, 1, Q, L], the mask of the inputs.
    self_bias: [*B, H, T, Tk], relative positions and mask.
    remember: given a layer's number and fresh keys and values, returns those
      to attend to. A decoding cache adds the earlier ones.
  """

  cross: Sequence[KeysValues] | Callable[[Parameters], KeysValues]
  cross_bias: Array
  self_bias: Array
  remember: Callable[[int, KeysValues], KeysValues] = same_row


def decoder_layer(
  params: Parameters,
  x: Float[Array, "B *K T D"],
  context: DecoderContext,
  *,
  index: int | Array,
  drop: Dropout = OFF,
) -> Float[Array, "B *K T D"]:
  """Applies self-attention, cross-attention and MLP to the residual.

  Args:
    params: of the layer.
    x: T positions of each row, or of each of K beams a query.
    context: what is attended to.
    index: number of the layer.
    drop: dropout.
  """
  made = callable(context.cross)
  cross = context.cross(params) if made else context.cross[index]
  num_heads = cross[0].shape[-3]
  normed = rms_norm(x, params["pre_self_attention_layer_norm"]["scale"])
  attention = params["self_attention"]
  queries, keys, values = (
    split_heads(part, num_heads)
    for part in projections(attention, normed, SELF)
  )
  y = attend(
    attention,
    queries,
    context.remember(index, (keys, values)),
    bias=context.self_bias,
    drop=drop.within(0),
  )
  x = x + drop(y, 1)
  normed = rms_norm(x, params["pre_cross_attention_layer_norm"]["scale"])
  attention = params["encoder_decoder_attention"]
  beams = normed.reshape(x.shape[0], -1, x.shape[-1])  # [B, K * T, D]
  y = attend(
    attention,
    split_heads(dense(beams, attention["query"]), num_heads),
    cross,
    bias=context.cross_bias,
    drop=drop.within(2),
  ).reshape(x.shape)  # [B, *K, T, D]
  x = x + drop(y, 3)
  normed = rms_norm(x, params["pre_mlp_layer_norm"]["scale"])
  return x + drop(gated_mlp(params["mlp"], normed, drop.within(4)), 5)


def encode(
  params: Parameters,
  config: T5Config,
  inputs: Int[Array, "B L"],
  *,
  segment_ids: Int[Array, "B L"] | None = None,
  drop: Dropout = OFF,
) -> Float[Array, "B L D"]:
  """Runs the encoder.

  Args:
    params: the tree with `token_embedder` and `encoder`.
    config: of the model.
    inputs: text ids; 0 pads.
    segment_ids: of packed rows, 0 on pads; a symbol attends to its segment
      only. None: one segment a row.
    drop: dropout.
  """
  encoder = params["encoder"]
  x = params["token_embedder"]["embedding"][inputs].astype(config.dtype)
  x = constrain(drop(x, 0), "batch", "embed")
  segments = (inputs > 0) if segment_ids is None else segment_ids
  bias = segment_bias(segments, segments) + position_bias(
    encoder, config, inputs.shape[1], bidirectional=True
  )  # [B, H, L, L]

  def layer(params: Parameters, x: Array, index: int | Array) -> Array:
    return encoder_layer(
      params,
      x,
      bias=bias,
      num_heads=config.num_heads,
      drop=drop.within(index + 2),
    )

  x = stack.run(stack.layers_of(encoder), x, layer, config=config)
  return drop(rms_norm(x, encoder["encoder_norm"]["scale"]), 1)


def cross_keys_values(
  params: Parameters, config: T5Config, encoded: Float[Array, "B L D"]
) -> list[KeysValues]:
  """Projects the encoded inputs for every decoder layer's cross-attention."""
  return [
    keys_values(layer, config, encoded)
    for layer in stack.layers_of(params["decoder"])
  ]


def embed_symbols(
  params: Parameters, config: T5Config, symbols: Int[Array, "*B"]
) -> Float[Array, "*B D"]:
  """Embeds decoder inputs: docid symbols, or text ids where docids are text."""
  own = config.docid_vocab_size is not None
  owner = (
    params["decoder"]["docid_embedder"] if own else params["token_embedder"]
  )
  return owner["embedding"][symbols].astype(config.dtype)


def decode(
  params: Parameters,
  config: T5Config,
  symbols: Int[Array, "B *K T"],
  *,
  context: DecoderContext,
  drop: Dropout = OFF,
) -> Float[Array, "B *K T D"]:
  """Runs the decoder up to what the head reads.

  Args:
    params: the tree with `decoder`, and `token_embedder` for docids of text.
    config: of the model.
    symbols: decoder inputs: at each position the symbol before it, BOS = 0.
    context: what is attended to.
    drop: dropout.
  """
  decoder = params["decoder"]
  x = drop(embed_symbols(params, config, symbols), 0)
  x = constrain(x, "batch", "embed")

  def layer(params: Parameters, x: Array, index: int | Array) -> Array:
    return decoder_layer(
      params, x, context, index=index, drop=drop.within(index + 2)
    )

  if not callable(context.cross):  # Step by step: nothing to differentiate.
    config = config.plain
  x = stack.run(stack.layers_of(decoder), x, layer, config=config)
  return drop(rms_norm(x, decoder["decoder_norm"]["scale"]), 1)


def logits(
  params: Parameters, config: T5Config, hidden: Float[Array, "*B D"]
) -> Float32[Array, "*B V"]:
  """Applies the head in float32; columns beyond V are masked."""
  scores = dense(hidden.astype(jnp.float32), params["decoder"]["logits_dense"])
  scores = constrain(scores, "batch", "vocab")
  if config.head_width == config.num_symbols:
    return scores
  real = jnp.arange(config.head_width) < config.num_symbols
  return jnp.where(real, scores, NO_SYMBOL)
