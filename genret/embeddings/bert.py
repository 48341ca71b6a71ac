"""The forward pass of a BERT sentence encoder in JAX, without torch.

Devlin et al., 2019 (arXiv 1810.04805): post-norm Transformer layers over the
sum of token, position and segment embeddings; then, as sentence encoders do,
the mean of the last layer's vectors over the real tokens, L2-normalised.
Weights keep the names they have in the safetensors file.
"""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Weights = Mapping[str, jax.Array]

_LAYER_NORM_EPSILON = 1e-12


@partial(jax.jit, static_argnames=("num_layers", "num_heads"))
def sentence_vectors(
  weights: Weights,
  tokens: Int[Array, "B L"],
  *,
  num_layers: int,
  num_heads: int,
) -> Float[Array, "B D"]:
  """Encodes padded rows of tokens as unit vectors.

  Args:
    weights: a BertModel's arrays under their names in the file.
    tokens: token ids, 0 pads. A row of pads alone gives a zero vector.
    num_layers: how many layers the weights have.
    num_heads: attention heads a layer.

  Returns:
    One vector of length 1 a row, float32.
  """
  mask = tokens > 0
  x = _embed(weights, tokens)
  for layer in range(num_layers):
    name = f"encoder.layer.{layer}."
    x = _layer(weights, name, x, mask=mask, num_heads=num_heads)
  x = x * mask[:, :, None]
  mean = x.sum(1) / jnp.maximum(mask.sum(1, keepdims=True), 1)  # [B, D]
  norm = jnp.linalg.norm(mean, axis=-1, keepdims=True)
  return mean / jnp.maximum(norm, 1e-12)


def _embed(weights: Weights, tokens: jax.Array) -> jax.Array:
  """Sums token, position and (first) segment embeddings, normalised."""
  x = weights["embeddings.word_embeddings.weight"][tokens]
  x += weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
  x += weights["embeddings.token_type_embeddings.weight"][0]
  return _layer_norm(weights, "embeddings.LayerNorm", x)


def _layer(
  weights: Weights,
  name: str,
  x: jax.Array,
  *,
  mask: jax.Array,
  num_heads: int,
) -> jax.Array:
  """One post-norm layer: attention, then the feed-forward block."""
  attended = _attention(
    weights, name + "attention.", x, mask=mask, num_heads=num_heads
  )
  x = _layer_norm(weights, name + "attention.output.LayerNorm", x + attended)
  hidden = _dense(weights, name + "intermediate.dense", x)
  hidden = jax.nn.gelu(hidden, approximate=False)
  hidden = _dense(weights, name + "output.dense", hidden)
  return _layer_norm(weights, name + "output.LayerNorm", x + hidden)


def _attention(
  weights: Weights,
  name: str,
  x: jax.Array,
  *,
  mask: jax.Array,
  num_heads: int,
) -> jax.Array:
  """Scaled dot-product attention over the real tokens of each row."""
  batch, length, dim = x.shape
  shape = (batch, length, num_heads, dim // num_heads)
  query, key, value = (
    _dense(weights, f"{name}self.{part}", x).reshape(shape)
    for part in ("query", "key", "value")
  )
  scores = jnp.einsum("bqhd,bkhd->bhqk", query, key, precision="highest")
  scores = scores / (shape[-1] ** 0.5)
  scores = jnp.where(mask[:, None, None, :], scores, -1e9)
  context = jnp.einsum(
    "bhqk,bkhd->bqhd", jax.nn.softmax(scores), value, precision="highest"
  )
  return _dense(weights, name + "output.dense", context.reshape(x.shape))


def _dense(weights: Weights, name: str, x: jax.Array) -> jax.Array:
  """An affine map whose kernel is stored as [out, in]."""
  kernel = weights[name + ".weight"]
  y = jnp.einsum("...i,oi->...o", x, kernel, precision="highest")
  return y + weights[name + ".bias"]


def _layer_norm(weights: Weights, name: str, x: jax.Array) -> jax.Array:
  """Normalises the last axis to mean 0 and variance 1, then scales."""
  mean = x.mean(-1, keepdims=True)
  variance = jnp.square(x - mean).mean(-1, keepdims=True)
  x = (x - mean) * jax.lax.rsqrt(variance + _LAYER_NORM_EPSILON)
  return x * weights[name + ".weight"] + weights[name + ".bias"]
