"""A parameter tree rearranged for searching: fewer and larger products."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from genret.models import layers

_GROUPS = {
  "attention": layers.SELF,
  "self_attention": layers.SELF,
  "encoder_decoder_attention": layers.CROSS,
  "mlp": layers.GATED,
}


@jax.jit
def fuse(params: Mapping[str, Any]) -> dict[str, Any]:
  """Joins kernels that multiply the same input, and lays the head out by rows.

  Self-attention's query, key and value become one kernel, and so do the MLP's
  two inward kernels and cross-attention's key and value; `layers` reads them
  joined as well as apart. The head becomes `logits_dense/rows` [V, D], so that
  the logits of a few symbols are the products with a few rows.

  Args:
    params: the tree of `T5`.
  """
  tree = {name: _joined(name, part) for name, part in params.items()}
  decoder = dict(tree["decoder"])
  decoder["logits_dense"] = {"rows": decoder["logits_dense"]["kernel"].T}
  return tree | {"decoder": decoder}


def _joined(name: str, part: Any) -> Any:
  if not isinstance(part, Mapping):
    return part
  tree = {child: _joined(child, below) for child, below in part.items()}
  members = _GROUPS.get(name, ())
  if members and set(members) <= tree.keys():  # BERT's MLP has no such two.
    parts = [tree.pop(member) for member in members]
    tree["+".join(members)] = jax.tree.map(_side_by_side, *parts)
  return tree


def _side_by_side(*leaves: jax.Array) -> jax.Array:
  """Joins kernels, and biases where there are any, along their outputs."""
  return jnp.concatenate(leaves, axis=-1)
