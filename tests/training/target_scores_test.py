"""What is kept of logits, by hand."""

import jax.numpy as jnp
import numpy as np

from genret.training import target_scores

LOGITS = jnp.asarray([[1.0, 3.0, 3.0, -1e9], [2.0, 0.0, -2.0, -1e9]])


def test_scores_of_two_rows():
  scores = target_scores.of_logits(
    LOGITS, jnp.asarray([2, 0]), num_symbols=3, with_mean=True
  )
  real = np.asarray(LOGITS)[:, :3]
  np.testing.assert_allclose(scores.target, [3.0, 2.0])
  np.testing.assert_allclose(scores.mean, real.mean(1), rtol=1e-6)
  np.testing.assert_allclose(
    scores.log_z, np.log(np.exp(real).sum(1)), rtol=1e-6
  )
  assert scores.largest.tolist() == [False, True]  # of equals the first


def test_a_mean_nobody_wants_is_not_made():
  scores = target_scores.of_logits(
    LOGITS, jnp.asarray([2, 0]), num_symbols=3, with_mean=False
  )
  assert scores.mean is None
