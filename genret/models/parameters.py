"""The parameters of T5.1.1, declared under t5x's names and logical axes.

Each module returns its parameters and computes nothing: `layers.py` does.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jax import Array

from genret.models.sizes import T5Config

Initializer = jax.nn.initializers.Initializer
initializers = jax.nn.initializers


class Weight(nn.Module):
  """One parameter of the tree.

  Attributes:
    leaf: its name in the tree, e.g. "kernel".
    shape: its shape.
    axes: logical axis names, as t5x's partitioning rules know them.
    init: how it starts.
  """

  leaf: str
  shape: tuple[int, ...]
  axes: tuple[str, ...]
  init: Initializer

  @nn.compact
  def __call__(self) -> dict[str, Array]:
    """Returns the parameter under its name."""
    value = partitioning.param_with_axes(
      self.leaf, self.init, self.shape, jnp.float32, axes=self.axes
    )
    return {self.leaf: value}


def _scaled(init: Initializer, factor: float) -> Initializer:
  if factor == 1.0:
    return init
  return lambda *args: init(*args) * factor


def _kernel(
  name: str,
  shape: tuple[int, int],
  axes: tuple[str, str],
  *,
  scale: float = 1.0,
  distribution: str = "truncated_normal",
  start: Callable[[], Array] | None = None,
) -> dict[str, Array]:
  """Declares a kernel whose outputs start with variance scale^2.

  With `start` the kernel starts as scale times what that returns.
  """
  init = initializers.variance_scaling(1.0, "fan_in", distribution)
  if start is not None:
    init = lambda *_: start()  # noqa: E731
  return Weight("kernel", shape, axes, _scaled(init, scale), name=name)()


def _norm(name: str, config: T5Config) -> dict[str, Array]:
  ones = initializers.ones
  return Weight("scale", (config.emb_dim,), ("embed",), ones, name=name)()


def embedding(
  name: str, rows: int, config: T5Config, *, stddev: float
) -> Weight:
  """Declares an embedding of so many rows."""
  # An embedding of the lone BOS row cannot be split by rows.
  rows_axis = "vocab" if name == "token_embedder" else "docid_symbols"
  return Weight(
    "embedding",
    (rows, config.emb_dim),
    (rows_axis, "embed"),
    initializers.normal(stddev),
    name=name,
  )


def _position_bias(config: T5Config) -> dict[str, Array]:
  return Weight(
    "rel_embedding",
    (config.num_heads, config.relpos_buckets),
    ("heads", "relpos_buckets"),
    initializers.variance_scaling(1.0, "fan_avg", "uniform"),
    name="relpos_bias",
  )()


class Attention(nn.Module):
  """Declares the joined two-dimensional kernels of an attention.

  Attributes:
    config: of the model.
    query_scale: factor on the initial query kernel, besides 1 / sqrt(Dh).
    out_scale: factor on the initial out kernel.
    copies: whether value starts as an orthogonal matrix and out as its
      transpose, so that what is attended to is at first passed on as it is.
  """

  config: T5Config
  query_scale: float = 1.0
  out_scale: float = 1.0
  copies: bool = False

  @nn.compact
  def __call__(self) -> dict[str, Any]:
    """Returns the kernels."""
    emb_dim = self.config.emb_dim
    joined = self.config.num_heads * self.config.head_dim
    # Attention scores are not divided by sqrt(Dh); the query starts smaller.
    scales = {
      "query": self.query_scale / math.sqrt(self.config.head_dim),
      "key": 1.0,
      "value": 1.0,
    }
    starts = self._starts((emb_dim, joined))
    inward = {
      name: _kernel(
        name,
        (emb_dim, joined),
        ("embed", "joined_kv"),
        scale=scale,
        distribution="normal",
        start=starts.get(name),
      )
      for name, scale in scales.items()
    }
    out = _kernel(
      "out",
      (joined, emb_dim),
      ("joined_kv", "embed"),
      scale=self.out_scale,
      distribution="normal",
      start=starts.get("out"),
    )
    return inward | {"out": out}

  def _starts(self, shape: tuple[int, int]) -> dict[str, Callable[[], Array]]:
    """Returns the kernels that do not start at random one by one."""
    if not (self.copies and self.is_initializing()):
      return {}
    value = initializers.orthogonal()(self.make_rng("params"), shape)
    return {"value": lambda: value, "out": lambda: value.T}


class Mlp(nn.Module):
  """Declares the kernels of a gated MLP."""

  config: T5Config

  @nn.compact
  def __call__(self) -> dict[str, Any]:
    """Returns the kernels."""
    config = self.config
    inward = (config.emb_dim, config.mlp_dim)
    return {
      "wi_0": _kernel("wi_0", inward, ("embed", "mlp")),
      "wi_1": _kernel("wi_1", inward, ("embed", "mlp")),
      "wo": _kernel(
        "wo",
        inward[::-1],
        ("mlp", "embed"),
        scale=config.residual_init_scale,
      ),
    }


class EncoderLayer(nn.Module):
  """Declares an encoder layer."""

  config: T5Config

  @nn.compact
  def __call__(self) -> dict[str, Any]:
    """Returns its parameters."""
    config = self.config
    residual = config.residual_init_scale
    return {
      "pre_attention_layer_norm": _norm("pre_attention_layer_norm", config),
      "attention": Attention(config, out_scale=residual, name="attention")(),
      "pre_mlp_layer_norm": _norm("pre_mlp_layer_norm", config),
      "mlp": Mlp(config, name="mlp")(),
    }


class DecoderLayer(nn.Module):
  """Declares a decoder layer."""

  config: T5Config

  @nn.compact
  def __call__(self) -> dict[str, Any]:
    """Returns its parameters."""
    config = self.config
    norms = (
      "pre_self_attention_layer_norm",
      "pre_cross_attention_layer_norm",
      "pre_mlp_layer_norm",
    )
    return {name: _norm(name, config) for name in norms} | {
      "self_attention": Attention(
        config, out_scale=config.residual_init_scale, name="self_attention"
      )(),
      "encoder_decoder_attention": Attention(
        config,
        query_scale=config.cross_query_init_scale,
        out_scale=config.cross_out_init_scale,
        copies=config.cross_copies_at_init,
        name="encoder_decoder_attention",
      )(),
      "mlp": Mlp(config, name="mlp")(),
    }


class Encoder(nn.Module):
  """Declares the encoder."""

  config: T5Config

  @nn.compact
  def __call__(self) -> dict[str, Any]:
    """Returns its parameters."""
    config = self.config
    tree = {
      f"layers_{i}": EncoderLayer(config, name=f"layers_{i}")()
      for i in range(config.num_encoder_layers)
    }
    return tree | {
      "relpos_bias": _position_bias(config),
      "encoder_norm": _norm("encoder_norm", config),
    }


class PrefixAwareHead(nn.Module):
  """Declares what makes a head adapt to the prefix: see `pawa`.

  The matrices of a level are one parameter. So a level is read as it lies,
  has a gradient of its own, and its matrices are factored one by one.
  """

  config: T5Config

  @nn.compact
  def __call__(self) -> dict[str, Any]:
    """Returns its parameters."""
    config, shape = self.config, self.config.adaptor
    tree = {
      f"layers_{i}": EncoderLayer(shape, name=f"layers_{i}")()
      for i in range(config.pawa.num_layers)
    }
    matrices = {"end": 1} | {
      f"level_{m}": size for m, size in enumerate(config.level_sizes)
    }
    stddev = config.pawa.init_scale * config.head_init_scale / config.emb_dim
    return (
      tree
      | {
        "start": embedding(
          "start", 1, config, stddev=config.docid_embedding_init_stddev
        )(),
        "relpos_bias": _position_bias(shape),
        "norm": _norm("norm", config),
      }
      | {
        name: Weight(
          "kernel",
          (size, config.emb_dim, config.emb_dim),
          ("level_symbols", "mlp", "embed"),
          initializers.normal(stddev),
          name=name,
        )()
        for name, size in matrices.items()
      }
    )


class Decoder(nn.Module):
  """Declares the decoder and its head."""

  config: T5Config

  @nn.compact
  def __call__(self) -> dict[str, Any]:
    """Returns its parameters."""
    config = self.config
    tree = {
      f"layers_{i}": DecoderLayer(config, name=f"layers_{i}")()
      for i in range(config.num_decoder_layers)
    }
    tree["relpos_bias"] = _position_bias(config)
    tree["decoder_norm"] = _norm("decoder_norm", config)
    if config.docid_embeddings:
      tree["docid_embedder"] = embedding(
        "docid_embedder",
        config.docid_embeddings,
        config,
        stddev=config.docid_embedding_init_stddev,
      )()
    tree["logits_dense"] = _kernel(
      "logits_dense",
      (config.emb_dim, config.head_width),
      ("embed", "vocab"),
      scale=config.head_init_scale,
    )
    if config.pawa is not None:
      config.check_levels()
      tree["pawa"] = PrefixAwareHead(config, name="pawa")()
    return tree
