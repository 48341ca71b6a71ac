"""The head's loss over the target and a sample of the other symbols.

One sample serves all rows of a step (Jean et al., arXiv 1412.2007). Each
sampled logit is lowered by the log of how often its symbol was to be expected
in the sample, so the sum over the sample is an unbiased estimate of the sum
over all symbols (Bengio & Senécal, 2003); where a row's own target was drawn,
it is left out. The gradient's bias falls with the number of samples. It is
zero but for the columns of the sample and of the targets, yet as wide as the
kernel: the optimizer sees a dense gradient.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from genret.core.errors import ConfigError, suggest
from genret.models.layers import NO_SYMBOL
from genret.training.target_scores import TargetScores

_DISTRIBUTIONS = ("uniform", "log_uniform")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampled:
  """Estimates the head's loss from a sample of symbols.

  Attributes:
    negatives: Symbols drawn a step. Drawn uniformly from as many symbols or
      fewer, each comes exactly once, and the loss is the full one.
    distribution: `uniform`, or `log_uniform` where symbols of low number are
      the frequent ones: symbol s is drawn in proportion to
      log((s + 2) / (s + 1)).
  """

  negatives: int = 8192
  distribution: Literal["uniform", "log_uniform"] = "uniform"

  def __post_init__(self):
    if self.negatives < 1:
      raise ConfigError(
        f"Sampled.negatives is {self.negatives}; a sample has 1 or more."
      )
    if self.distribution not in _DISTRIBUTIONS:
      raise ConfigError(
        f"Sampled.distribution is {self.distribution!r}."
        f"{suggest(self.distribution, _DISTRIBUTIONS)}"
      )


def draw(
  key: Array, how: Sampled, num_symbols: int
) -> tuple[Int[Array, "S"], Float[Array, "S"]]:
  """Draws symbols, one from each of S parts of equal probability.

  Parts keep the draw even: its variance is below that of independent draws,
  and a uniform one never repeats a symbol.

  Args:
    key: A random key.
    how: How many, and how likely each is.
    num_symbols: Symbols to draw from: 0 to this, exclusive.

  Returns:
    The symbols, and how often each is to be expected in such a sample.
  """
  if how.distribution == "uniform":
    count = min(how.negatives, num_symbols)
    # Boundaries are exact: no product of theirs fits 32 bits.
    bounds = np.arange(count + 1, dtype=np.int64) * num_symbols // count
    first, size = bounds[:-1].astype(np.int32), np.diff(bounds)
    symbols = jax.random.randint(key, (count,), first, bounds[1:])
    return symbols, jnp.asarray(1 / size, jnp.float32)
  parts = jnp.arange(how.negatives) + jax.random.uniform(key, (how.negatives,))
  span = np.log(num_symbols + 1)
  symbols = jnp.exp(parts * (span / how.negatives)).astype(jnp.int32) - 1
  symbols = jnp.clip(symbols, 0, num_symbols - 1)
  return symbols, jnp.log1p(1 / (symbols + 1)) * (how.negatives / span)


def score(
  hidden: Float[Array, "R D"],
  kernel: Float[Array, "D V"],
  targets: Int[Array, "R"],
  *,
  num_symbols: int,
  with_mean: bool,
  how: Sampled,
  key: Array,
) -> TargetScores:
  """Scores the targets of rows against a sample.

  Args:
    hidden: What the head reads, float32.
    kernel: The head.
    targets: The symbols to predict, below `num_symbols`.
    num_symbols: How many columns are real.
    with_mean: Whether an estimate of the mean logit is wanted.
    how: Size and distribution of the sample.
    key: Of the draw.

  Returns:
    Estimates, but for the target's logit, which is exact. `largest` compares
    it with the sample only, so accuracy is an upper bound.
  """
  symbols, expected = draw(key, how, num_symbols)
  target = jnp.einsum("rd,dr->r", hidden, jnp.take(kernel, targets, axis=1))
  logits = hidden @ jnp.take(kernel, symbols, axis=1)  # [R, S]
  other = symbols != targets[:, None]
  corrected = jnp.where(other, logits - jnp.log(expected), NO_SYMBOL)
  mean = None
  if with_mean:
    rest = jnp.where(other, logits / expected, 0).sum(-1)
    mean = (target + rest) / num_symbols
  return TargetScores(
    log_z=jax.nn.logsumexp(
      jnp.concatenate([target[:, None], corrected], axis=1), axis=-1
    ),
    target=target,
    mean=mean,
    largest=target > jnp.where(other, logits, NO_SYMBOL).max(-1),
  )
