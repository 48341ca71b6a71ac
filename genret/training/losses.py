"""The loss of a sequence-to-sequence step: cross-entropy and its extras.

The head's logits may be whole, a chunk at a time, or of a sample: see `Loss`.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from genret.core.errors import ConfigError
from genret.models import t5
from genret.models.sizes import UNLESS_SET, T5Config
from genret.training import chunked, consistency, sampled, target_scores
from genret.training.chunked import Chunked
from genret.training.head_layout import Layout
from genret.training.partitioning import MeshShape
from genret.training.sampled import Sampled
from genret.training.target_scores import TargetScores

WIDE_HEAD = 1 << 17
"""Columns from which on the head is computed in chunks, if nothing is said."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain:
  """Computes the head's logits as a whole."""


# Folded into the key of the dropout, for the draw of a sample, and for the
# masks of a second pass.
_SAMPLE = 0x5A3B1E
_SECOND = 0x2C0D1F


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
  """Settings of the loss.

  Attributes:
    label_smoothing: Share of the target's probability that is spread evenly
      over all symbols (Szegedy et al., 2016).
    z_loss: Weight of log(Z)², which keeps the logits' scale in check (T5's
      own default in t5x is 1e-4).
    head: How the head is computed: Plain, Chunked or Sampled. None is Plain
      below WIDE_HEAD columns and Chunked from there on.
    consistency: Weight alpha of the divergence of two dropout passes; NCI's
      is 0.15. Cross-entropy is then the mean of both, and a step costs two.
      It reads whole logits. See `consistency`.
  """

  label_smoothing: float = 0.0
  z_loss: float = 1e-4
  head: Plain | Chunked | Sampled | None = None
  consistency: float = dataclasses.field(default=0.0, metadata=UNLESS_SET)

  def __post_init__(self):
    if self.consistency < 0:
      raise ConfigError(
        f"Loss.consistency is {self.consistency}; expected 0 or more."
      )
    if self.consistency and not isinstance(self.head, Plain | None):
      raise ConfigError(
        "Loss.consistency compares whole logits, and the head is computed as"
        f" {self.head}. Set Loss.head to losses.Plain(), or consistency to 0."
      )

  def head_for(self, width: int) -> Plain | Chunked | Sampled:
    """Returns how a head of so many columns is computed.

    >>> Loss().head_for(32_128), Loss().head_for(1_000_064)
    (Plain(), Chunked(size=8192))
    """
    if self.head is not None:
      return self.head
    return Plain() if width < WIDE_HEAD else Chunked()


@flax.struct.dataclass
class LossSums:
  """Sums over the target symbols of a batch, each a float32 scalar.

  Attributes:
    total: The loss that is differentiated, z-loss included.
    cross_entropy: Negative log-likelihood in nats, without extras.
    z_loss: The z-loss term.
    weight: Number of target symbols (the sum of their weights).
    correct: Weight of the symbols whose logit is the largest.
  """

  total: jax.Array
  cross_entropy: jax.Array
  z_loss: jax.Array
  weight: jax.Array
  correct: jax.Array


def batch_sums(
  model: nn.Module,
  params: Any,
  batch: Mapping[str, jax.Array],
  *,
  num_symbols: int,
  loss: Loss,
  key: jax.Array,
  mesh: Mesh,
  rules: Mapping[str, str | None] = MeshShape().rules,
) -> LossSums:
  """Sums the loss of a batch of seqio's model features, with dropout.

  Args:
    model: A T5.
    params: Its parameters.
    batch: seqio's encoder-decoder features, packed or padded, and where the
      frozen part of a sentence encoder has run already its `encoder_states`.
    num_symbols: How many columns of the logits are real.
    loss: The settings.
    key: Of dropout and sampling.
    mesh: Where parameters and batch live.
    rules: How parameters are split there: axis name -> mesh axis.

  Returns:
    Sums over the batch's target symbols.
  """
  head = _head_for(loss, model.config)
  targets = batch["decoder_target_tokens"]
  weights = batch["decoder_loss_weights"]
  read = functools.partial(
    model.apply,
    {"params": params},
    batch["encoder_input_tokens"],
    batch["decoder_input_tokens"],
    encoder_segment_ids=batch.get("encoder_segment_ids"),
    decoder_segment_ids=batch.get("decoder_segment_ids"),
    encoder_positions=batch.get("encoder_positions"),
    encoder_states=batch.get("encoder_states"),
    deterministic=False,
  )
  if isinstance(head, Plain):
    score = functools.partial(
      cross_entropy,
      targets=targets,
      weights=weights,
      num_symbols=num_symbols,
      loss=loss,
    )
    logits = read(rngs={"dropout": key})
    if not loss.consistency:
      return score(logits)
    others = read(rngs={"dropout": jax.random.fold_in(key, _SECOND)})
    apart = consistency.divergence(logits, others)
    return _both(
      score(logits),
      score(others),
      added=loss.consistency * jnp.where(weights > 0, apart * weights, 0).sum(),
    )
  hidden = read(head=False, rngs={"dropout": key})  # [B, T, D]
  kernel = t5.head_kernel(params)  # [D, V]
  rows = hidden.reshape(-1, hidden.shape[-1]).astype(jnp.float32)
  layout = Layout.of(mesh, rules=rules, hidden=rows, kernel=kernel)
  score = functools.partial(
    _scoring(head, key=key, layout=layout),
    num_symbols=num_symbols,
    with_mean=bool(loss.label_smoothing),
  )
  scores = score(rows, kernel, targets.reshape(-1))
  return sums(scores, weights.reshape(-1), loss=loss)


def _head_for(loss: Loss, config: T5Config) -> Plain | Chunked | Sampled:
  """Returns how the head is computed, once it is sure that it can be."""
  head = loss.head_for(config.head_width)
  if not loss.consistency:
    return head
  if not isinstance(head, Plain):
    raise ConfigError(
      f"Loss.consistency compares whole logits; a head of"
      f" {config.head_width:,} columns is computed in chunks. Set Loss.head to"
      " losses.Plain() if they fit, or consistency to 0."
    )
  if config.dropout_rate == 0.0:
    raise ConfigError(
      "Loss.consistency compares two passes with other dropout, and"
      " dropout_rate is 0: they would be the same. Set one or the other."
    )
  return head


def _both(first: LossSums, second: LossSums, *, added: jax.Array) -> LossSums:
  """Returns the mean of two passes over the same symbols, and a term more."""
  sums = jax.tree.map(lambda a, b: (a + b) / 2, first, second)
  return sums.replace(total=sums.total + added)


def _scoring(
  head: Chunked | Sampled, *, key: jax.Array, layout: Layout
) -> Callable[..., TargetScores]:
  """Returns how rows are scored where logits are never whole."""
  if isinstance(head, Chunked):
    return functools.partial(chunked.score, size=head.size, layout=layout)
  key = jax.random.fold_in(key, _SAMPLE)
  return functools.partial(sampled.score, how=head, key=key)


def cross_entropy(
  logits: Float[Array, "B T V"],
  targets: Int[Array, "B T"],
  weights: Float[Array, "B T"],
  *,
  num_symbols: int,
  loss: Loss,
) -> LossSums:
  """Sums the loss over a batch of target symbols.

  Args:
    logits: Raw scores; columns at or above `num_symbols` pad the head to a
      round width and must hold a value that is negligible in the log-sum.
    targets: The symbols to predict.
    weights: 1 for a symbol that counts, 0 for padding.
    num_symbols: How many columns are real, V at most.
    loss: The settings.

  Returns:
    Sums, not means: whoever knows all devices divides by the weight.
  """
  scores = target_scores.of_logits(
    logits,
    targets,
    num_symbols=num_symbols,
    with_mean=bool(loss.label_smoothing),
  )
  return sums(scores, weights, loss=loss)


def sums(
  scores: TargetScores, weights: Float[Array, "*B"], *, loss: Loss
) -> LossSums:
  """Sums the loss over target symbols of which the scores are known."""
  nll = scores.log_z - scores.target
  smoothed = nll
  if loss.label_smoothing:
    smoothed = nll + loss.label_smoothing * (scores.target - scores.mean)
  z_loss = loss.z_loss * jnp.square(scores.log_z)
  return LossSums(
    total=jnp.sum((smoothed + z_loss) * weights),
    cross_entropy=jnp.sum(nll * weights),
    z_loss=jnp.sum(z_loss * weights),
    weight=jnp.sum(weights),
    correct=jnp.sum(scores.largest * weights),
  )
