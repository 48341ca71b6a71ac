"""What a T5 of some configuration is made of, without making it."""

import functools
from collections.abc import Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp
from flax import linen as nn

from genret.models.sizes import T5Config
from genret.models.t5 import T5

PARTS = ("text embedding", "encoder", "decoder", "docid embedding", "head")
PREFIX_AWARE = ("prefix adaptor", "prefix-aware head")
"""Parts that only a model with `T5Config.pawa` has."""


def abstract(config: T5Config) -> dict[str, Any]:
  """Returns the variables of a T5 as shapes; nothing is allocated.

  Args:
    config: of the model.

  Returns:
    What `T5(config).init` returns, `jax.ShapeDtypeStruct`s for arrays.
  """
  return jax.tree.map(lambda leaf: leaf, _abstract(config))


@functools.lru_cache(maxsize=64)
def _abstract(config: T5Config) -> dict[str, Any]:
  """Traces each shape once: a study has many cells of one."""
  return abstract_module(T5(config))


def abstract_module(module: nn.Module) -> dict[str, Any]:
  """Returns the variables of any model of two rows of tokens as shapes."""
  tokens = jax.ShapeDtypeStruct((1, 8), jnp.int32)
  return flax.core.unfreeze(
    jax.eval_shape(module.init, jax.random.key(0), tokens, tokens)
  )


def part_of(path: str) -> str:
  """Names the part of the model that a parameter belongs to.

  >>> part_of("decoder/logits_dense/kernel")
  'head'
  >>> part_of("decoder/layers_0/mlp/wo/kernel")
  'decoder'
  >>> part_of("decoder/pawa/level_0/kernel")
  'prefix-aware head'

  Args:
    path: of a parameter, its names joined by slashes.

  Returns:
    One of PARTS or PREFIX_AWARE.
  """
  owned = {
    "token_embedder": "text embedding",
    "encoder/lexical": "text embedding",
    "decoder/docid_embedder": "docid embedding",
    "decoder/logits_dense": "head",
    "decoder/pawa/level_": PREFIX_AWARE[1],
    "decoder/pawa/end": PREFIX_AWARE[1],
    "decoder/pawa": PREFIX_AWARE[0],
  }
  found = (part for start, part in owned.items() if path.startswith(start))
  return next(found, path.split("/")[0])


def count_by_part(params: Mapping[str, Any]) -> dict[str, int]:
  """Counts the parameters of each part, in the order of PARTS.

  Those of PREFIX_AWARE follow where there are any.

  Args:
    params: a parameter tree, abstract or not.
  """
  counts = dict.fromkeys((*PARTS, *PREFIX_AWARE), 0)
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    counts[part_of(name)] += leaf.size
  return {k: n for k, n in counts.items() if n or k in PARTS}
