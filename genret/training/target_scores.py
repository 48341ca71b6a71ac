"""What the loss needs to know of a position's logits: four numbers."""

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from genret.models.layers import NO_SYMBOL


@flax.struct.dataclass
class TargetScores:
  """What is left of V logits a position once they have been looked at.

  Every way to compute the head returns these, and `losses` makes the loss of
  them, so that label smoothing and z-loss are written once.

  Attributes:
    log_z: log of the sum of exp(logit) over the symbols.
    target: Logit of the symbol to predict.
    mean: Mean logit of the symbols; None where nobody asked for it.
    largest: Whether the target's logit is the largest, the first of equals.
  """

  log_z: Float[Array, "*B"]
  target: Float[Array, "*B"]
  mean: Float[Array, "*B"] | None
  largest: Bool[Array, "*B"]


def of_logits(
  logits: Float[Array, "*B V"],
  targets: Int[Array, "*B"],
  *,
  num_symbols: int,
  with_mean: bool,
) -> TargetScores:
  """Looks at logits that are there as a whole.

  Args:
    logits: Columns at or above `num_symbols` pad the head to a round width
      and must hold a value that is negligible in the log-sum.
    targets: The symbols to predict.
    num_symbols: How many columns are real, V at most.
    with_mean: Whether the mean logit is wanted; masked symbols are left out.
  """
  log_z = jax.nn.logsumexp(logits, axis=-1)  # [*B]
  target = jnp.take_along_axis(logits, targets[..., None], axis=-1)
  mean = None
  if with_mean:
    real = jnp.arange(logits.shape[-1]) < num_symbols
    real = real & (logits > NO_SYMBOL / 2)
    mean = jnp.where(real, logits, 0).sum(-1) / real.sum(-1)  # [*B]
  return TargetScores(
    log_z=log_z,
    target=target.squeeze(-1),
    mean=mean,
    largest=jnp.argmax(logits, axis=-1) == targets,
  )
