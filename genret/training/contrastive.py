"""The loss of a dual encoder: its document among those of a whole batch.

With s the score of a document and t the temperature, a text's loss is
-log(exp(s+ / t) / sum exp(s / t)), the sum over its own document and all
others of the batch, hard negatives of every text among them (DPR, arXiv
2004.04906). Left out of it is what may be right as well: its own document where
it stands in the batch again, those that read the same, and other right answers
to the same text.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jaxtyping import Bool, Float32, Int

from genret.core.errors import ConfigError
from genret.models import dual_encoder
from genret.training.losses import LossSums

_MASKED = -1e9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contrast:
  """Settings of the loss.

  Attributes:
    temperature: by which scores are divided.
  """

  temperature: float = 0.05

  def __post_init__(self):
    if not self.temperature > 0:
      raise ConfigError(
        f"The temperature is {self.temperature}; expected a number over 0."
      )


def batch_sums(
  model: nn.Module,
  params: Any,
  batch: Mapping[str, Array],
  *,
  loss: Contrast,
  key: Array,
  **unused: Any,
) -> LossSums:
  """Sums the loss of a batch of `tasks.pair_feed`, with dropout.

  Args:
    model: A dual encoder.
    params: Its parameters.
    batch: Texts, documents, what they are known by, and where the frozen part
      of a sentence encoder has run already its states of both.
    loss: The settings.
    key: Of dropout.
    **unused: What other losses need.

  Returns:
    Sums over the texts of the batch.
  """
  del unused
  vectors = [
    model.apply(
      {"params": params},
      _rows(batch[name], 2),
      states=_rows(batch.get(f"{name}_states"), 3),
      deterministic=False,
      method="vectors",
      rngs={"dropout": jax.random.fold_in(key, part)},
    )
    for part, name in enumerate(("inputs", "documents"))
  ]
  return sums(
    dual_encoder.scores(*vectors) / loss.temperature,
    wrong=wrong(batch["numbers"], batch["known"]),
  )


def _rows(feature: Array | None, rank: int) -> Array | None:
  """Puts the documents of all texts, [B, 1 + H, …], into one row."""
  if feature is None:
    return None
  return feature.reshape(-1, *feature.shape[1 - rank :])


def wrong(
  numbers: Int[Array, "B J"], known: Int[Array, "B P"]
) -> Bool[Array, "B M"]:
  """Says which documents of a batch count against each text.

  Two texts whose documents read the same, and a third that has one hard
  negative more: document 5, a right answer to the first text.

  >>> numbers = jnp.array([[4, 7], [4, 7], [6, 5]])
  >>> known = jnp.array([[4, 5], [4, -1], [6, -1]])
  >>> wrong(numbers, known).astype(int).tolist()
  [[0, 1, 0, 1, 1, 0], [0, 1, 0, 1, 1, 1], [1, 1, 1, 1, 0, 1]]

  Args:
    numbers: Of each text's documents, its own first; M = B J in all. The same
      for documents that read the same.
    known: Of all documents that are right for each text; -1 fills up.
  """
  every = numbers.reshape(-1)
  return ~jnp.any(known[:, :, None] == every, axis=1)


def sums(
  logits: Float32[Array, "B M"], *, wrong: Bool[Array, "B M"]
) -> LossSums:
  """Sums the loss, from scores over the temperature.

  >>> found = sums(
  ...   jnp.log(jnp.array([[3.0, 1.0], [5.0, 1.0]])),
  ...   wrong=jnp.array([[False, True], [False, False]]),
  ... )
  >>> round(float(jnp.exp(-found.total)), 4), float(found.correct)
  (0.75, 2.0)

  Args:
    logits: Of all documents; those of row i begin at column i M / B.
    wrong: Which of them count against a text.
  """
  count = len(logits)
  own = jnp.arange(count) * (logits.shape[1] // count)
  positive = jnp.take_along_axis(logits, own[:, None], axis=1)[:, 0]
  others = jnp.where(wrong, logits, _MASKED)
  every = jnp.logaddexp(positive, jax.nn.logsumexp(others, axis=1))
  total = jnp.sum(every - positive)
  return LossSums(
    total=total,
    cross_entropy=total,
    z_loss=jnp.zeros(()),
    weight=jnp.asarray(count, jnp.float32),
    correct=jnp.sum(positive > others.max(axis=1)).astype(jnp.float32),
  )
