"""The parameters of a sentence encoder, declared under logical axes.

Where no weights are given they start as BERT's do: kernels and embeddings
normal with a deviation of 0.02, norms as the identity.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning

from genret.embeddings.bert import BertConfig
from genret.models.encoder_config import EncoderConfig

Initializer = jax.nn.initializers.Initializer

_NORMAL = jax.nn.initializers.normal(0.02)
_ZEROS = jax.nn.initializers.zeros
_ONES = jax.nn.initializers.ones


@dataclasses.dataclass(frozen=True)
class Leaf:
  """One parameter.

  Attributes:
    shape: its shape.
    axes: logical axis names, as t5x's partitioning rules know them.
    init: how it starts.
  """

  shape: tuple[int, ...]
  axes: tuple[str, ...]
  init: Initializer


class Declared(nn.Module):
  """Declares a nested tree of parameters.

  Attributes:
    tree: nested mappings, `Leaf`s at their ends.
  """

  tree: Mapping[str, Any]

  @nn.compact
  def __call__(self) -> dict[str, Any]:
    """Returns the parameters in the same form."""
    return {name: self._part(name, part) for name, part in self.tree.items()}

  def _part(self, name: str, part: Leaf | Mapping[str, Any]) -> Any:
    if not isinstance(part, Leaf):
      return Declared(part, name=name)()
    return partitioning.param_with_axes(
      name, part.init, part.shape, jnp.float32, axes=part.axes
    )


def tree(config: EncoderConfig) -> dict[str, Any]:
  """Returns what to declare for a sentence encoder."""
  bert = config.bert
  parts = {f"layers_{i}": _layer(bert) for i in range(bert.num_layers)}
  found = {"bert": {"embeddings": _embeddings(bert)} | parts}
  if config.lexical_dim:
    init = jax.nn.initializers.normal(config.lexical_init_stddev)
    shape = (bert.vocab_size, config.lexical_dim)
    found["lexical"] = {"embedding": Leaf(shape, ("vocab", "embed"), init)}
  return found


def _embeddings(config: BertConfig) -> dict[str, Any]:
  def table(rows: int, axis: str) -> dict[str, Leaf]:
    shape = (rows, config.emb_dim)
    return {"embedding": Leaf(shape, (axis, "embed"), _NORMAL)}

  return {
    "word": table(config.vocab_size, "vocab"),
    "position": table(config.max_positions, "abspos_buckets"),
    "segment": table(2, "abspos_buckets"),
    "norm": _norm(config),
  }


def _layer(config: BertConfig) -> dict[str, Any]:
  wide, hidden = ("embed", config.emb_dim), ("mlp", config.mlp_dim)
  joined = ("joined_kv", config.emb_dim)
  attention = {
    name: _affine(wide, joined) for name in ("query", "key", "value")
  }
  return {
    "attention": attention | {"out": _affine(joined, wide)},
    "attention_norm": _norm(config),
    "mlp": {"wi": _affine(wide, hidden), "wo": _affine(hidden, wide)},
    "mlp_norm": _norm(config),
  }


def _affine(
  inward: tuple[str, int], outward: tuple[str, int]
) -> dict[str, Leaf]:
  axes, shape = zip(inward, outward, strict=True)
  return {
    "kernel": Leaf(shape, axes, _NORMAL),
    "bias": Leaf(shape[1:], axes[1:], _ZEROS),
  }


def _norm(config: BertConfig) -> dict[str, Leaf]:
  shape, axes = (config.emb_dim,), ("embed",)
  return {
    "scale": Leaf(shape, axes, _ONES),
    "bias": Leaf(shape, axes, _ZEROS),
  }
