"""The loss against optax, against its definition, and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from genret.training.losses import Loss, cross_entropy

PLAIN = Loss(label_smoothing=0.0, z_loss=0.0)


def _random(num_columns: int):
  rng = np.random.default_rng(0)
  logits = jnp.asarray(rng.normal(size=(3, 4, num_columns)), jnp.float32)
  targets = jnp.asarray(rng.integers(0, 5, size=(3, 4)))
  weights = jnp.asarray(rng.integers(0, 2, size=(3, 4)), jnp.float32)
  return logits, targets, weights


def test_two_equal_logits_cost_one_bit():
  sums = cross_entropy(
    jnp.zeros((1, 1, 2)),
    jnp.zeros((1, 1), jnp.int32),
    jnp.ones((1, 1)),
    num_symbols=2,
    loss=PLAIN,
  )
  assert float(sums.total) == pytest.approx(np.log(2))
  assert float(sums.cross_entropy) == pytest.approx(np.log(2))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_optax_over_the_real_columns(smoothing):
  logits, targets, weights = _random(6)
  sums = cross_entropy(
    logits,
    targets,
    weights,
    num_symbols=6,
    loss=Loss(label_smoothing=smoothing, z_loss=0.0),
  )
  labels = optax.smooth_labels(jax.nn.one_hot(targets, 6), smoothing)
  expected = optax.softmax_cross_entropy(logits, labels)
  np.testing.assert_allclose(
    float(sums.total), float((expected * weights).sum()), rtol=1e-5
  )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_padded_columns_change_nothing(smoothing):
  logits, targets, weights = _random(6)
  loss = Loss(label_smoothing=smoothing, z_loss=1e-2)
  wide = jnp.pad(logits, [(0, 0), (0, 0), (0, 2)], constant_values=-1e9)
  narrow = cross_entropy(logits, targets, weights, num_symbols=6, loss=loss)
  padded = cross_entropy(wide, targets, weights, num_symbols=6, loss=loss)
  np.testing.assert_allclose(
    float(padded.total), float(narrow.total), rtol=1e-6
  )


def test_z_loss_is_the_square_of_the_log_sum():
  logits, targets, weights = _random(6)
  loss = Loss(label_smoothing=0.0, z_loss=0.5)
  sums = cross_entropy(logits, targets, weights, num_symbols=6, loss=loss)
  log_z = np.log(np.exp(np.asarray(logits)).sum(-1))
  expected = (0.5 * log_z**2 * np.asarray(weights)).sum()
  np.testing.assert_allclose(float(sums.z_loss), expected, rtol=1e-5)
  np.testing.assert_allclose(
    float(sums.total), float(sums.cross_entropy) + expected, rtol=1e-5
  )


def test_weights_count_symbols_and_hits():
  logits = jnp.asarray([[[9.0, 0.0], [9.0, 0.0], [0.0, 9.0]]])
  targets = jnp.asarray([[0, 1, 1]])
  weights = jnp.asarray([[1.0, 1.0, 0.0]])
  sums = cross_entropy(logits, targets, weights, num_symbols=2, loss=PLAIN)
  assert float(sums.weight) == 2
  assert float(sums.correct) == 1
