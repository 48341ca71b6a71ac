"""How far two passes with other dropout are apart: the consistency loss.

R-Drop (Liang et al., arXiv 2106.14448), as NCI trains with: to the mean of
the cross-entropies of two passes is added alpha times

  (KL(p || q) + KL(q || p)) / 2 = sum_v (p_v - q_v) (log p_v - log q_v) / 2,

p and q the distributions that the passes give a target symbol.

What makes it NaN elsewhere is a masked symbol, of which 0 * (inf - inf) is
asked, and a logarithm of a softmax that has become 0. Here masked symbols are
out of the sum before anything is computed of them, so neither value nor
gradient sees them, and logarithms are of a log-softmax in float32.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32

from genret.models.layers import NO_SYMBOL


def divergence(
  logits: Float[Array, "*B V"], others: Float[Array, "*B V"]
) -> Float32[Array, "*B"]:
  """Returns half the symmetric KL divergence of two softmaxes, in nats.

  >>> import jax.numpy as jnp
  >>> apart = divergence(jnp.log(jnp.array([0.8, 0.2, 0])),
  ...                    jnp.log(jnp.array([0.2, 0.8, 0])))
  >>> round(float(apart), 4), round(float(0.6 * jnp.log(4)), 4)
  (0.8318, 0.8318)

  Args:
    logits: of one pass; at -inf or about layers.NO_SYMBOL where masked.
    others: of the other pass; what is masked in either counts in neither.

  Returns:
    At least 0 for each row; 0 where everything is masked.
  """
  real = (logits > NO_SYMBOL / 2) & (others > NO_SYMBOL / 2)

  def log_softmax(scores: Array) -> Array:
    scores = jnp.where(real, scores.astype(jnp.float32), NO_SYMBOL)
    return jnp.where(real, jax.nn.log_softmax(scores, axis=-1), 0.0)

  p, q = log_softmax(logits), log_softmax(others)
  both = jnp.where(real, (jnp.exp(p) - jnp.exp(q)) * (p - q), 0.0)
  return both.sum(axis=-1) / 2
