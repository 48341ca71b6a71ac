"""The loss against optax, against its definition, and by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from genret.core.errors import ConfigError
from genret.models.t5 import T5
from genret.training import losses
from genret.training.chunked import Chunked
from genret.training.losses import WIDE_HEAD, Loss, Plain, cross_entropy
from genret.training.sampled import Sampled

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


def _of_model(program, params, batch, *, head):
  return losses.batch_sums(
    program.model,
    params,
    batch,
    num_symbols=program.num_symbols,
    loss=Loss(label_smoothing=0.1, z_loss=1e-2, head=head),
    key=jax.random.key(1),
    mesh=program.mesh,
  )


@pytest.fixture(scope="module")
def graded(program, initial, batch):
  """Sums of a batch and gradients of parameters, by how the head goes."""

  def total(params, head):
    sums = _of_model(program, params, batch, head=head)
    return sums.total / sums.weight, sums

  both = jax.jit(jax.grad(total, has_aux=True), static_argnames="head")
  return lambda head: both(initial.params, head=head)


@pytest.fixture(scope="module")
def plainly(graded):
  return graded(Plain())


@pytest.mark.parametrize("head", [Chunked(size=5), Sampled(negatives=12)])
def test_whatever_way_the_head_goes_the_loss_is_one(head, graded, plainly):
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    graded(head),
    plainly,
  )


@pytest.mark.slow
def test_narrow_activations_are_scored_in_float32(program, initial, batch):
  config = dataclasses.replace(program.model.config, dtype="bfloat16")
  narrow = dataclasses.replace(program, model=T5(config))
  found, expected = (
    _of_model(narrow, initial.params, batch, head=head)
    for head in (Chunked(size=5), Plain())
  )
  assert found.total.dtype == jnp.float32
  np.testing.assert_allclose(
    float(found.total), float(expected.total), rtol=1e-5
  )


def test_a_step_in_chunks_on_a_mesh_is_a_plain_step(sharded_head):
  """Parameters after one SGD step, 4 x 2 devices, all fully sharded."""
  assert sharded_head["step apart"] < 1e-5


def test_only_a_wide_head_goes_in_chunks_unasked():
  assert Loss().head_for(WIDE_HEAD - 1) == Plain()
  assert Loss().head_for(WIDE_HEAD) == Chunked()
  assert Loss(head=Plain()).head_for(WIDE_HEAD) == Plain()


def _twice(program, initial, batch, *, weight):
  return losses.batch_sums(
    program.model,
    initial.params,
    batch,
    num_symbols=program.num_symbols,
    loss=Loss(z_loss=0.0, consistency=weight),
    key=jax.random.key(1),
    mesh=program.mesh,
  )


def test_consistency_adds_the_divergence_of_two_passes(program, initial, batch):
  """Linear in its weight, over the mean of both cross-entropies."""
  sums = jax.jit(
    lambda weight: _twice(program, initial, batch, weight=weight),
    static_argnums=0,
  )
  plain, small, large = sums(0.0), sums(0.5), sums(1.0)
  assert float(plain.total) == float(plain.cross_entropy)
  apart = float(small.total - small.cross_entropy)
  assert apart > 0.01
  np.testing.assert_allclose(
    float(large.total - large.cross_entropy), 2 * apart, rtol=1e-4
  )
  assert float(small.cross_entropy) == float(large.cross_entropy)
  assert float(small.cross_entropy) != float(plain.cross_entropy)
  assert float(small.weight) == float(plain.weight)


def test_consistency_wants_whole_logits_and_dropout(program, initial, batch):
  with pytest.raises(ConfigError, match="whole logits"):
    Loss(consistency=0.1, head=Chunked())
  with pytest.raises(ConfigError, match="0 or more"):
    Loss(consistency=-0.1)
  config = dataclasses.replace(program.model.config, dropout_rate=0.0)
  still = dataclasses.replace(program, model=T5(config))
  with pytest.raises(ConfigError, match="dropout_rate is 0"):
    _twice(still, initial, batch, weight=0.1)


def test_labels_are_smoothed_over_symbols_that_are_not_masked():
  logits, targets, weights = _random(6)
  loss = Loss(label_smoothing=0.2, z_loss=0.0)
  masked = jnp.pad(logits, [(0, 0), (0, 0), (0, 3)], constant_values=-1e9)
  found, wanted = (
    cross_entropy(x, targets, weights, num_symbols=x.shape[-1], loss=loss)
    for x in (masked, logits)
  )
  np.testing.assert_allclose(float(found.total), float(wanted.total), rtol=1e-6)
