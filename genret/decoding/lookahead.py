"""What is known of the documents before the search, for beams to look ahead.

A beam search drops a prefix by its own score, though the document it leads to
may be the best. A prior score of every document, such as one from a bag of
words decoded at once, says of a prefix what the best document below it is
worth (Zeng et al., "Planning Ahead in Generative Retrieval", arXiv
2404.14600).
"""

from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from genret.core.errors import UserError
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.trie import Trie


@flax.struct.dataclass(kw_only=True)
class Lookahead:
  """The greatest prior score below every state of a trie, for B queries.

  A beam is ranked by (1 - weight) * its log-probability + weight * that; at
  weight 1/2 it is the sum of the two, halved, by which the paper ranks.

  Attributes:
    nodes: of each node.
    rows: of each row.
    weight: between 0 and 1.
  """

  nodes: Float[Array, "B M"]
  rows: Float[Array, "B U"]
  weight: Float[Array, ""]

  @classmethod
  def plan(
    cls,
    trie: Trie,
    placed: DeviceTrie,
    prior: Float[np.ndarray, "B N"],
    *,
    weight: float = 0.5,
  ) -> Self:
    """Reduces a prior over documents to one over prefixes.

    Args:
      trie: whose documents these are.
      placed: the same trie on the device.
      prior: score of each document for each query, the higher the better.
      weight: of the prior against the model's log-probability.

    Raises:
      UserError: a prior of other documents, or a weight outside 0 to 1.
    """
    if not 0 <= weight <= 1:
      raise UserError(f"weight is {weight}; expected a number from 0 to 1")
    if prior.ndim != 2 or prior.shape[1] != trie.num_documents:
      raise UserError(
        "a prior has a score for each query and document, shape"
        f" [queries, {trie.num_documents}]; got {prior.shape}"
      )
    ordered = np.asarray(prior, np.float32)[:, trie.order]
    rows = np.maximum.reduceat(ordered, trie.doc_ptr[:-1], axis=1)
    missing = placed.rows.shape[0] - trie.num_rows
    rows = np.pad(rows, [(0, 0), (0, missing)], constant_values=-np.inf)
    return cls(
      nodes=_node_maxima(placed, jnp.asarray(rows)),
      rows=jnp.asarray(rows),
      weight=jnp.float32(weight),
    )

  def keys(
    self, scores: Float[Array, "B *S"], states: Int[Array, "B *S"]
  ) -> Float[Array, "B *S"]:
    """Returns what prefixes are ranked by; -inf where there is none.

    Args:
      scores: log-probability of each prefix; -inf where there is none.
      states: where it stands in the trie.
    """
    flat = states.reshape(len(states), -1)
    flat = jnp.broadcast_to(flat, (len(scores), flat.shape[1]))
    below = jnp.where(
      flat >= 0, _along(self.nodes, flat), _along(self.rows, ~flat)
    )
    known = scores > -jnp.inf
    own = (1 - self.weight) * jnp.where(known, scores, 0)
    return jnp.where(
      known, own + self.weight * below.reshape(scores.shape), -jnp.inf
    )


@jax.jit
def _node_maxima(
  trie: DeviceTrie, rows: Float[Array, "B U"]
) -> Float[Array, "B M"]:
  """Reduces rows to nodes, from the deepest level up."""
  num_nodes, num_edges = trie.indptr.shape[0] - 1, trie.child.shape[0]
  owner = jnp.repeat(
    jnp.arange(num_nodes),
    jnp.diff(trie.indptr),
    total_repeat_length=num_edges,
  )
  real = jnp.arange(num_edges) < trie.indptr[-1]

  def lift(_: int, nodes: Float[Array, "B M"]) -> Float[Array, "B M"]:
    child = trie.child[None]
    below = jnp.where(child >= 0, _along(nodes, child), _along(rows, ~child))
    below = jnp.where(real, below, -jnp.inf)
    greatest = jax.vmap(
      lambda values: jax.ops.segment_max(
        values, owner, num_nodes, indices_are_sorted=True
      )
    )(below)
    return jnp.maximum(nodes, greatest)

  lowest = jnp.full((len(rows), num_nodes), -jnp.inf)
  return jax.lax.fori_loop(0, trie.length, lift, lowest)


def _along(array: Array, index: Int[Array, "#B K"]) -> Array:
  return jnp.take_along_axis(array, index, axis=-1, mode="clip")
