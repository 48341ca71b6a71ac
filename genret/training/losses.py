"""The loss of a sequence-to-sequence step: cross-entropy and its extras."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
  """Settings of the loss.

  Attributes:
    label_smoothing: Share of the target's probability that is spread evenly
      over all symbols (Szegedy et al., 2016).
    z_loss: Weight of log(Z)², which keeps the logits' scale in check (T5's
      own default in t5x is 1e-4).
  """

  label_smoothing: float = 0.0
  z_loss: float = 1e-4


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
) -> LossSums:
  """Sums the loss of a batch of seqio's model features, with dropout.

  Args:
    model: A T5.
    params: Its parameters.
    batch: seqio's encoder-decoder features, packed or padded.
    num_symbols: How many columns of the logits are real.
    loss: The settings.
    key: Of the dropout.
    mesh: Where parameters and batch live.

  Returns:
    Sums over the batch's target symbols.
  """
  del mesh  # GSPMD places what the plain head computes.
  logits = model.apply(
    {"params": params},
    batch["encoder_input_tokens"],
    batch["decoder_input_tokens"],
    encoder_segment_ids=batch.get("encoder_segment_ids"),
    decoder_segment_ids=batch.get("decoder_segment_ids"),
    deterministic=False,
    rngs={"dropout": key},
  )  # [B, T, V]
  return cross_entropy(
    logits,
    batch["decoder_target_tokens"],
    batch["decoder_loss_weights"],
    num_symbols=num_symbols,
    loss=loss,
  )


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
  log_z = jax.nn.logsumexp(logits, axis=-1)  # [B, T]
  target_logits = jnp.take_along_axis(
    logits, targets[..., None], axis=-1
  ).squeeze(-1)  # [B, T]
  nll = log_z - target_logits
  smoothed = nll
  if loss.label_smoothing:
    real = jnp.arange(logits.shape[-1]) < num_symbols
    mean_logit = jnp.where(real, logits, 0).sum(-1) / num_symbols  # [B, T]
    smoothed = nll + loss.label_smoothing * (target_logits - mean_logit)
  z_loss = loss.z_loss * jnp.square(log_z)
  correct = jnp.argmax(logits, axis=-1) == targets
  return LossSums(
    total=jnp.sum((smoothed + z_loss) * weights),
    cross_entropy=jnp.sum(nll * weights),
    z_loss=jnp.sum(z_loss * weights),
    weight=jnp.sum(weights),
    correct=jnp.sum(correct * weights),
  )
