"""The arithmetic of the bag of subwords: pure functions on arrays.

An Adam step over a table of 32,128 embeddings costs more than the rest of the
model, and a batch touches a tenth of it. So a step gathers the rows of the
table and of Adam's moments that its batch holds, works on these, and puts them
back; the moments of the others stand still meanwhile ("lazy" Adam).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from genret.retrieval.subword_examples import Texts

Params = dict[str, Array]

_TABLE = "subwords"
_OPTIMIZER = optax.scale_by_adam()
# Shapes are rounded up to multiples of this, so that few programs compile.
_BUCKET = 4096


class Bags(NamedTuple):
  """B texts as one flat row of weighted subwords, padded with zeros.

  Attributes:
    rows: The distinct subwords.
    places: Where in `rows` each subword stands.
    owners: The text each subword belongs to, ascending.
    weights: The share of each subword in its text; zero where padded.
  """

  rows: Int[np.ndarray, "U"]
  places: Int[np.ndarray, "S"]
  owners: Int[np.ndarray, "S"]
  weights: Float[np.ndarray, "S"]


def make_bags(texts: Texts, idf: Float[np.ndarray, "V"]) -> Bags:
  """Weight the subwords of each text by idf, summing to one a text.

  >>> texts = Texts.of([[7, 9], [9]])
  >>> idf = np.arange(10, dtype=np.float32)
  >>> bags = make_bags(texts, idf)
  >>> bags.rows[:2].tolist(), bags.weights[:3].tolist()
  ([7, 9], [0.4375, 0.5625, 1.0])

  Args:
    texts: The texts.
    idf: The weight of each subword of the vocabulary.
  """
  owners = texts.owners
  weights = idf[texts.tokens]
  sums = np.bincount(owners, weights=weights, minlength=len(texts))
  weights = weights / np.maximum(sums[owners], np.finfo(np.float32).tiny)
  rows, places = np.unique(texts.tokens, return_inverse=True)
  return Bags(
    rows=_pad(rows.astype(np.int32), 0),
    places=_pad(places.astype(np.int32), 0),
    owners=_pad(owners.astype(np.int32), max(0, len(texts) - 1)),
    weights=_pad(weights.astype(np.float32), 0),
  )


def _pad(values: np.ndarray, fill: int) -> np.ndarray:
  length = max(1, -(-len(values) // _BUCKET)) * _BUCKET
  return np.pad(values, (0, length - len(values)), constant_values=fill)


def init(
  *,
  vocab_size: int,
  num_documents: int,
  dim: int,
  embedding_stddev: float,
  seed: int,
) -> tuple[Params, optax.OptState]:
  """Return initial parameters and the optimizer's state.

  Args:
    vocab_size: V.
    num_documents: N.
    dim: D.
    embedding_stddev: Of the subwords' embeddings; the documents' have
      1 / sqrt(D).
    seed: Of the draw.
  """
  table, head = jax.random.split(jax.random.key(seed))
  params = {
    _TABLE: embedding_stddev * jax.random.normal(table, (vocab_size, dim)),
    "documents": jax.random.normal(head, (dim, num_documents)) / dim**0.5,
    "bias": jnp.zeros(num_documents),
  }
  return params, _OPTIMIZER.init(params)


@functools.partial(jax.jit, static_argnames="num_texts")
def log_probabilities(
  params: Params, bags: Bags, *, num_texts: int
) -> Float[Array, "B N"]:
  """Return the log-probability of each document for each text."""
  logits = _logits(_gather(params, bags.rows), bags, num_texts)
  return jax.nn.log_softmax(logits)


@functools.partial(
  jax.jit,
  donate_argnames=("params", "state"),
  static_argnames=("dropout_rate", "label_smoothing"),
)
def train_step(
  params: Params,
  state: optax.OptState,
  *,
  bags: Bags,
  labels: Int[Array, "B"],
  learning_rate: float,
  key: PRNGKeyArray,
  dropout_rate: float,
  label_smoothing: float,
) -> tuple[Params, optax.OptState, Float[Array, ""]]:
  """Take one step of Adam on the mean cross-entropy of a batch.

  Args:
    params: Parameters; donated.
    state: The optimizer's state; donated.
    bags: The texts.
    labels: The row of the document that answers each text.
    learning_rate: What Adam's direction is multiplied by.
    key: Of dropout.
    dropout_rate: Share of the features of a text that are zeroed.
    label_smoothing: Share of the target spread over all documents.

  Returns:
    Parameters, state, and the loss before the step.
  """

  def loss_of(local: Params) -> Float[Array, ""]:
    logits = _logits(local, bags, len(labels), key=key, rate=dropout_rate)
    log_p = jax.nn.log_softmax(logits)  # [B, N]
    hit = jnp.take_along_axis(log_p, labels[:, None], axis=1)[:, 0]  # [B]
    smooth = log_p.mean(axis=1)
    return -jnp.mean(hit + label_smoothing * (smooth - hit))

  local, local_state = _gather((params, state), bags.rows)
  loss, gradients = jax.value_and_grad(loss_of)(local)
  updates, local_state = _OPTIMIZER.update(gradients, local_state)
  local = jax.tree.map(lambda p, u: p - learning_rate * u, local, updates)
  params, state = _scatter((params, state), (local, local_state), bags.rows)
  return params, state, loss


def _logits(
  local: Params,
  bags: Bags,
  num_texts: int,
  *,
  key: PRNGKeyArray | None = None,
  rate: float = 0.0,
) -> Float[Array, "B N"]:
  weighted = local[_TABLE][bags.places] * bags.weights[:, None]  # [S, D]
  vectors = jax.ops.segment_sum(
    weighted, bags.owners, num_texts, indices_are_sorted=True
  )  # [B, D]
  if rate > 0:
    kept = jax.random.bernoulli(key, 1 - rate, vectors.shape)
    vectors = jnp.where(kept, vectors / (1 - rate), 0)
  return vectors @ local["documents"] + local["bias"]


def _gather(tree: Any, rows: Int[Array, "U"]) -> Any:
  """Return the tree with only these rows of the table and its moments."""
  return _on_table(lambda table: table[rows], lambda leaf: leaf, tree)


def _scatter(tree: Any, local: Any, rows: Int[Array, "U"]) -> Any:
  """Return the local tree with its rows back in their table.

  Padding repeats row 0, with a gradient of zero: all its copies are equal.
  """
  return _on_table(
    lambda table, part: table.at[rows].set(part),
    lambda _, part: part,
    tree,
    local,
  )


def _on_table(on_table: Callable, on_rest: Callable, tree: Any, *rest) -> Any:
  def one(path, *leaves):
    is_table = path[-1] == jax.tree_util.DictKey(_TABLE)
    return on_table(*leaves) if is_table else on_rest(*leaves)

  return jax.tree_util.tree_map_with_path(one, tree, *rest)
