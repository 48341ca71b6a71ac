"""BERT's layers in JAX, on a nested tree of parameters, without torch.

Devlin et al., 2019 (arXiv 1810.04805): post-norm Transformer layers over the
sum of token, position and segment embeddings. A sentence encoder then takes
the mean of the last layer's vectors over the real tokens, of length 1
(Reimers & Gurevych, arXiv 1908.10084). The tree, kernels as [in, out]:

    embeddings/{word,position,segment}/embedding, embeddings/norm/{scale,bias}
    layers_<i>/attention/{query,key,value,out}/{kernel,bias}
    layers_<i>/attention_norm/{scale,bias}
    layers_<i>/mlp/{wi,wo}/{kernel,bias}, layers_<i>/mlp_norm/{scale,bias}

Parameters are float32 and are cast to the dtype of the states they meet;
norms' statistics and softmax are float32 whatever it is.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from genret.core.errors import ConfigError

Params = Mapping[str, Any]

JOINED = "query+key+value"
"""Under this name an attention may have its three inward kernels as one."""

_MASKED = -1e10  # Added to a score; finite, so that a row of them is no NaN.


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertConfig:
  """The shape of a BERT; the defaults are all-MiniLM-L6-v2's.

  Attributes:
    vocab_size: rows of the token embedding.
    emb_dim: width E of the states.
    num_layers: layers.
    num_heads: attention heads, which divide emb_dim among them.
    mlp_dim: hidden width of the MLP.
    max_positions: positions that have an embedding: the longest text.
    norm_epsilon: added to the variance in every norm.
  """

  vocab_size: int = 30_522
  emb_dim: int = 384
  num_layers: int = 6
  num_heads: int = 12
  mlp_dim: int = 1536
  max_positions: int = 512
  norm_epsilon: float = 1e-12

  def __post_init__(self):
    if self.emb_dim % self.num_heads:
      raise ConfigError(
        f"BertConfig.num_heads is {self.num_heads}, which does not divide"
        f" emb_dim, {self.emb_dim}; BERT's heads share it equally."
      )


def _product(x: Array, kernel: Array) -> Array:
  return x @ kernel.astype(x.dtype)


def _keep(x: Array, site: int) -> Array:
  del site
  return x


@dataclasses.dataclass(frozen=True, kw_only=True)
class Means:
  """What whoever trains the layers lends them.

  Attributes:
    multiply: states times a kernel, which is cast to their dtype.
    drop: dropout; from values and the number of the place they stand at.
  """

  multiply: Callable[[Array, Array], Array] = _product
  drop: Callable[[Array, int], Array] = _keep


PLAIN = Means()


def embed(
  params: Params,
  tokens: Int[Array, "B L"],
  *,
  config: BertConfig,
  positions: Int[Array, "B L"] | None = None,
  dtype: str = "float32",
) -> Float[Array, "B L E"]:
  """Sums token, position and first segment embeddings, and normalises.

  Args:
    params: the tree.
    tokens: ids of the vocabulary.
    config: the shape.
    positions: of each token in its own text, for rows that hold several; one
      that has no embedding gives NaN. None: a row is one text.
    dtype: of the states.

  Raises:
    ConfigError: rows of one text are longer than there are positions.
  """
  tables = params["embeddings"]
  length = tokens.shape[1]
  places = jnp.asarray(tables["position"]["embedding"])
  if positions is None and length > config.max_positions:
    raise ConfigError(
      f"the texts have {length} tokens and the encoder has"
      f" {config.max_positions} positions; cut the texts to that."
    )
  x = tables["word"]["embedding"][tokens]
  if positions is None:
    x = x + places[:length]
  else:  # Of texts that are too long NaN, where nothing can be raised.
    x = x + places.at[positions].get(mode="fill", fill_value=jnp.nan)
  x = x + tables["segment"]["embedding"][0]
  return norm(tables["norm"], x.astype(dtype), config=config)


def key_mask(tokens: Int[Array, "B L"]) -> Float[Array, "B 1 1 L"]:
  """Returns what `layer` adds to scores where a row is one text; 0 pads."""
  return _bias(tokens[:, None, None, :] > 0)


def segment_mask(segments: Int[Array, "B L"]) -> Float[Array, "B 1 L L"]:
  """Returns the same where rows hold several texts, numbered from 1."""
  return _bias(segments[:, None, :, None] == segments[:, None, None, :])


def _bias(allowed: Array) -> Array:
  return jnp.where(allowed, 0.0, _MASKED).astype(jnp.float32)


def layer(
  params: Params,
  x: Float[Array, "B L E"],
  *,
  mask: Float[Array, "B 1 #L L"],
  config: BertConfig,
  means: Means = PLAIN,
) -> Float[Array, "B L E"]:
  """Applies one post-norm layer: attention, then the MLP.

  Args:
    params: of this layer.
    x: what the layer before wrote.
    mask: from `key_mask` or `segment_mask`.
    config: the shape.
    means: how to multiply, and dropout of places 0, 1 and 2.
  """
  attended = _attention(
    params["attention"], x, mask=mask, config=config, means=means
  )
  x = norm(params["attention_norm"], x + means.drop(attended, 1), config=config)
  hidden = _gelu(dense(params["mlp"]["wi"], x, means))
  hidden = dense(params["mlp"]["wo"], hidden, means)
  return norm(params["mlp_norm"], x + means.drop(hidden, 2), config=config)


def states(
  params: Params,
  x: Float[Array, "B L E"],
  *,
  mask: Float[Array, "B 1 #L L"],
  config: BertConfig,
  first: int = 0,
  last: int | None = None,
) -> Float[Array, "B L E"]:
  """Runs some of the layers, without dropout.

  Args:
    params: the tree.
    x: what layer `first` reads: from `embed`, or an earlier call's result.
    mask: from `key_mask` or `segment_mask`.
    config: the shape.
    first: the first layer to run.
    last: the layer to stop before; None runs to the end.
  """
  for index in range(first, config.num_layers if last is None else last):
    x = layer(params[f"layers_{index}"], x, mask=mask, config=config)
  return x


@functools.partial(jax.jit, static_argnames="config")
def sentence_vectors(
  params: Params, tokens: Int[Array, "B L"], *, config: BertConfig
) -> Float[Array, "B E"]:
  """Encodes padded rows of tokens as unit vectors.

  Args:
    params: the tree.
    tokens: token ids, 0 pads. A row of pads alone gives a zero vector.
    config: the shape.

  Returns:
    One vector of length 1 a row, float32.
  """
  with jax.default_matmul_precision("highest"):
    x = embed(params, tokens, config=config)
    x = states(params, x, mask=key_mask(tokens), config=config)
  real = tokens > 0
  mean = (x * real[:, :, None]).sum(1)
  mean = mean / jnp.maximum(real.sum(1, keepdims=True), 1)  # [B, E]
  length = jnp.linalg.norm(mean, axis=-1, keepdims=True)
  return mean / jnp.maximum(length, 1e-12)


def _attention(
  params: Params,
  x: Float[Array, "B L E"],
  *,
  mask: Array,
  config: BertConfig,
  means: Means,
) -> Array:
  """Attends to what the mask leaves of each row."""

  def heads(projected: Array) -> Array:
    split = projected.reshape(*x.shape[:-1], config.num_heads, -1)
    return jnp.swapaxes(split, -3, -2)  # [B, H, L, Dh]

  query, key, value = map(heads, _projections(params, x, means))
  scores = jnp.einsum(
    "bhqd,bhkd->bhqk", query, key, preferred_element_type=jnp.float32
  )
  scores = scores / math.sqrt(query.shape[-1]) + mask
  weights = jax.nn.softmax(scores, axis=-1).astype(x.dtype)
  mixed = means.drop(weights, 0) @ value
  mixed = jnp.swapaxes(mixed, -3, -2).reshape(x.shape)  # [B, L, E]
  return dense(params["out"], mixed, means)


def _projections(params: Params, x: Array, means: Means) -> list[Array]:
  """Projects to queries, keys and values; in one product where joined."""
  if JOINED in params:
    return jnp.split(dense(params[JOINED], x, means), 3, axis=-1)
  return [dense(params[name], x, means) for name in JOINED.split("+")]


def dense(params: Params, x: Array, means: Means = PLAIN) -> Array:
  """Multiplies by the kernel and adds the bias."""
  return means.multiply(x, params["kernel"]) + params["bias"].astype(x.dtype)


def _gelu(x: Array) -> Array:
  """The exact one; by erf, which compiles to less than erfc does."""
  return 0.5 * x * (1 + jax.lax.erf(x * (1 / math.sqrt(2))))


def norm(params: Params, x: Array, *, config: BertConfig) -> Array:
  """Normalises the last axis to mean 0 and variance 1; scale and bias."""
  wide = x.astype(jnp.float32)
  wide = wide - wide.mean(-1, keepdims=True)
  variance = jnp.square(wide).mean(-1, keepdims=True)
  unit = wide * jax.lax.rsqrt(variance + config.norm_epsilon)
  return (unit * params["scale"] + params["bias"]).astype(x.dtype)


_EMBEDDINGS = {
  "word": "word_embeddings",
  "position": "position_embeddings",
  "segment": "token_type_embeddings",
}
_DENSE = {
  "attention/query": "attention.self.query",
  "attention/key": "attention.self.key",
  "attention/value": "attention.self.value",
  "attention/out": "attention.output.dense",
  "mlp/wi": "intermediate.dense",
  "mlp/wo": "output.dense",
}
_NORMS = {
  "attention_norm": "attention.output.LayerNorm",
  "mlp_norm": "output.LayerNorm",
}


def from_names(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Arranges the arrays of a BertModel file as the tree.

  What the layers do not read, such as a pooler, is left out.

  Args:
    flat: arrays under the names that transformers' BertModel saves them by;
      its kernels are [out, in].

  Returns:
    The tree; kernels are transposed views.

  Raises:
    ConfigError: an array is missing.
  """

  def part(name: str, leaves: Mapping[str, str]) -> dict[str, np.ndarray]:
    for leaf in leaves.values():
      if f"{name}.{leaf}" not in flat:
        raise ConfigError(
          f"the weights have no {name}.{leaf}: they are not those of a"
          " BertModel of transformers."
        )
    return {ours: flat[f"{name}.{leaf}"] for ours, leaf in leaves.items()}

  def normed(name: str) -> dict[str, np.ndarray]:
    return part(name, {"scale": "weight", "bias": "bias"})

  def affine(name: str) -> dict[str, np.ndarray]:
    leaves = part(name, {"kernel": "weight", "bias": "bias"})
    return leaves | {"kernel": leaves["kernel"].T}

  tables = {
    ours: part(f"embeddings.{theirs}", {"embedding": "weight"})
    for ours, theirs in _EMBEDDINGS.items()
  }
  tree = {"embeddings": tables | {"norm": normed("embeddings.LayerNorm")}}
  while f"encoder.layer.{len(tree) - 1}.output.dense.weight" in flat:
    index = len(tree) - 1
    start = f"encoder.layer.{index}."
    ours = {name: normed(start + theirs) for name, theirs in _NORMS.items()}
    for path, theirs in _DENSE.items():
      group, name = path.split("/")
      ours.setdefault(group, {})[name] = affine(start + theirs)
    tree[f"layers_{index}"] = ours
  return tree
