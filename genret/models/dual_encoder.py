"""A dual encoder: texts and documents become vectors on their own.

It is the encoder of a T5, or the sentence encoder in its place, under the
parameter names of `t5.T5`, so that it starts from whatever a T5 starts from.
Texts and documents share it. Two ways of scoring:

- `mean`: a vector is the mean of a text's states; the score is the cosine
  (DPR, arXiv 2004.04906; on T5: Sentence-T5, arXiv 2108.08877).
- `late`: each token keeps a vector of length 1. Each token of the query counts
  with its best cosine among the document's tokens, and the score is the mean
  of these (ColBERT, arXiv 2004.12832, has the sum, which ranks the same).
  Queries are not filled up with masks, and punctuation counts.
"""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Float, Float32, Int

from genret.core import errors
from genret.models import bert_parameters, encoders, layers, parameters
from genret.models.bert_parameters import Declared
from genret.models.sizes import T5Config

Scoring = Literal["mean", "late"]
PROJECTION = "projection"
"""The parameter that no T5 has."""


class DualEncoder(nn.Module):
  """Turns texts into unit vectors.

  Attributes:
    config: of a T5 whose encoder this is; its decoder is not made.
    scoring: `mean` or `late`.
    dim: numbers of a vector, by a projection that starts orthogonal; None
      keeps the encoder's width.
  """

  config: T5Config
  scoring: Scoring = "mean"
  dim: int | None = None

  def setup(self):
    """Declares the parameters."""
    config = self.config
    if self.scoring not in get_args(Scoring):
      raise errors.ConfigError(
        f"scoring is {self.scoring!r}."
        + errors.suggest(str(self.scoring), get_args(Scoring))
      )
    if config.encoder is None:
      self.token_embedder = parameters.embedding(
        "token_embedder",
        config.vocab_size,
        config,
        stddev=config.embedding_init_stddev,
      )
      self.encoder = parameters.Encoder(config)
    else:
      self.encoder = Declared(bert_parameters.tree(config.encoder))
    if self.dim is not None:
      self.projection = parameters.Weight(
        "kernel",
        (config.emb_dim, self.dim),
        ("embed", "mlp"),
        jax.nn.initializers.orthogonal(),
      )

  def __call__(
    self, inputs: Int[Array, "B L"], documents: Int[Array, "M L"]
  ) -> tuple[Array, Array]:
    """Returns the vectors of texts and of documents."""
    return self.vectors(inputs), self.vectors(documents)

  def vectors(
    self,
    tokens: Int[Array, "B L"],
    *,
    states: Float[Array, "B L E"] | None = None,
    deterministic: bool = True,
  ) -> Float32[Array, "B *L D"]:
    """Encodes texts.

    Args:
      tokens: ids; 0 pads.
      states: of the same tokens, from `encoders.frozen_states`; the frozen
        layers are then not run.
      deterministic: False drops values, and needs the "dropout" rng.

    Returns:
      One vector a text, or with `late` one a token, zeros for pads. Each has
      length 1.
    """
    params: dict[str, Any] = {"encoder": self.encoder()}
    if self.config.encoder is None:
      params["token_embedder"] = self.token_embedder()
    drop = layers.OFF
    if not deterministic and self.config.dropout_rate:
      drop = layers.Dropout(
        self.config.dropout_rate, self.make_rng("dropout")
      ).within(0)
    found = encoders.encode(
      params, self.config, tokens, states=states, drop=drop
    )
    present = (tokens > 0)[..., None]  # [B, L, 1]
    found = jnp.where(present, found.astype(jnp.float32), 0)
    if self.scoring == "mean":
      found = found.sum(axis=1) / jnp.maximum(present.sum(axis=1), 1)
    if self.dim is not None:
      found = layers.multiply(found, self.projection()["kernel"])
    return _unit(found)


def scores(
  queries: Float32[Array, "B *L D"], documents: Float32[Array, "M *L D"]
) -> Float32[Array, "B M"]:
  """Scores documents for queries, from -1 to 1.

  Args:
    queries: what `vectors` returned; of tokens where there are three axes.
    documents: the same.
  """
  if queries.ndim == 2:
    return jnp.einsum("bd,md->bm", queries, documents, precision="highest")
  return max_sim(queries, documents)


def max_sim(
  queries: Float32[Array, "B L D"], documents: Float32[Array, "M K D"]
) -> Float32[Array, "B M"]:
  """Scores documents by the best of their tokens for each of the query's.

  One query at a time, and again for the gradient: the cosines of all pairs of
  tokens never lie in memory together.

  Args:
    queries: unit vectors, zeros for pads.
    documents: the same.
  """
  absent = ~jnp.any(documents != 0, axis=-1)  # [M, K]

  @jax.checkpoint
  def one(query: Array) -> Array:
    cosines = jnp.einsum("ld,mkd->lmk", query, documents, precision="highest")
    best = jnp.where(absent, -2.0, cosines).max(axis=-1)  # [L, M]
    present = jnp.any(query != 0, axis=-1)
    total = jnp.where(present[:, None], best, 0).sum(axis=0)
    return total / jnp.maximum(present.sum(), 1)

  return jax.lax.map(one, queries)


def _unit(vectors: Array) -> Array:
  """Scales vectors to length 1; zeros stay zeros, with a gradient of zero."""
  squares = jnp.sum(vectors**2, axis=-1, keepdims=True)
  return vectors * jax.lax.rsqrt(jnp.maximum(squares, 1e-24))
