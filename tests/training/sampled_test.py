"""The sampled softmax: its draw, its limits, and what it is on average."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.training import losses, sampled, target_scores
from genret.training.losses import Loss
from genret.training.sampled import Sampled

NUM_SYMBOLS, DIM, ROWS = 60, 8, 4
EXTRAS = Loss(label_smoothing=0.1, z_loss=1e-2)
DISTRIBUTIONS = ("uniform", "log_uniform")


def _inputs():
  rng = np.random.default_rng(0)
  hidden = rng.normal(size=(ROWS, DIM)).astype(np.float32)
  kernel = rng.normal(size=(DIM, NUM_SYMBOLS)).astype(np.float32) / 6
  return jnp.asarray(hidden), jnp.asarray(kernel), jnp.asarray([0, 5, 5, 59])


def _sampled(kernel, key, *, how, loss=EXTRAS):
  hidden, _, targets = _inputs()
  scores = sampled.score(
    hidden,
    kernel,
    targets,
    num_symbols=NUM_SYMBOLS,
    with_mean=bool(loss.label_smoothing),
    how=how,
    key=key,
  )
  return losses.sums(scores, jnp.ones(ROWS), loss=loss).total


def _full(kernel, *, loss=EXTRAS):
  hidden, _, targets = _inputs()
  return losses.cross_entropy(
    hidden @ kernel,
    targets,
    jnp.ones(ROWS),
    num_symbols=NUM_SYMBOLS,
    loss=loss,
  ).total


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_symbols_are_drawn_as_often_as_expected(distribution):
  how = Sampled(negatives=7, distribution=distribution)
  keys = jax.random.split(jax.random.key(1), 20_000)
  symbols, expected = jax.vmap(lambda key: sampled.draw(key, how, NUM_SYMBOLS))(
    keys
  )
  counts = np.bincount(np.ravel(symbols), minlength=NUM_SYMBOLS) / len(keys)
  claimed = np.full(NUM_SYMBOLS, np.nan)
  claimed[np.ravel(symbols)] = np.ravel(expected)
  np.testing.assert_allclose(counts, claimed, rtol=0.15, atol=1e-3)
  assert counts.sum() == pytest.approx(7)


def test_a_uniform_draw_repeats_nothing_and_reaches_the_end():
  how = Sampled(negatives=1000)
  symbols, _ = sampled.draw(jax.random.key(0), how, 8_841_825)
  assert len(set(symbols.tolist())) == 1000
  assert 0 <= int(symbols.min()) < 8842
  assert 8_841_825 - 8842 <= int(symbols.max()) < 8_841_825


@pytest.mark.parametrize("negatives", [NUM_SYMBOLS, 10 * NUM_SYMBOLS])
def test_all_negatives_are_the_full_softmax(negatives):
  kernel = _inputs()[1]
  how = Sampled(negatives=negatives)
  found = jax.value_and_grad(_sampled)(kernel, jax.random.key(3), how=how)
  expected = jax.value_and_grad(_full)(kernel)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    found,
    expected,
  )


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_sum_is_unbiased(distribution):
  hidden, kernel, targets = _inputs()
  how = Sampled(negatives=20, distribution=distribution)

  def total(key):
    scores = sampled.score(
      hidden,
      kernel,
      targets,
      num_symbols=NUM_SYMBOLS,
      with_mean=True,
      how=how,
      key=key,
    )
    return jnp.exp(scores.log_z), scores.mean

  keys = jax.random.split(jax.random.key(2), 20_000)
  draws = jax.jit(jax.vmap(total))(keys)
  full = target_scores.of_logits(
    hidden @ kernel, targets, num_symbols=NUM_SYMBOLS, with_mean=True
  )
  for drawn, wanted in zip(draws, (np.exp(full.log_z), full.mean), strict=True):
    error = np.std(drawn, axis=0) / np.sqrt(len(keys))
    assert (np.abs(np.mean(drawn, axis=0) - wanted) < 5 * error).all()
    assert (error < 0.03 * np.abs(wanted) + 0.01).all()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_mean_gradient_nears_the_full_one_with_the_sample(distribution):
  kernel = _inputs()[1]
  expected = jax.grad(_full)(kernel)
  keys = jax.random.split(jax.random.key(4), 4000)

  def bias(negatives):
    how = Sampled(negatives=negatives, distribution=distribution)
    gradients = jax.vmap(
      lambda key: jax.grad(lambda k: _sampled(k, key, how=how))(kernel)
    )
    found = jax.jit(lambda keys: gradients(keys).mean(0))(keys)
    return float(jnp.linalg.norm(found - expected) / jnp.linalg.norm(expected))

  few, many = bias(5), bias(40)
  assert many < few / 2
  assert many < 0.03


def test_only_sampled_columns_and_targets_get_a_gradient():
  _, kernel, targets = _inputs()
  how, key = Sampled(negatives=6), jax.random.key(5)
  gradient = jax.grad(_sampled)(kernel, key, how=how)
  symbols, _ = sampled.draw(key, how, NUM_SYMBOLS)
  touched = np.flatnonzero(np.abs(gradient).sum(0))
  assert set(touched) == {*symbols.tolist(), *targets.tolist()}


def test_wrong_settings_are_refused():
  with pytest.raises(ConfigError, match="negatives is 0"):
    Sampled(negatives=0)
  with pytest.raises(ConfigError, match="log_uniform"):
    Sampled(distribution="log-uniform")


@pytest.mark.parametrize("kind", ["split", "fully sharded"])
@pytest.mark.parametrize("mesh", ["8x1", "4x2", "1x8"])
def test_split_over_a_mesh_it_is_the_same(mesh, kind, sharded_head):
  found = sharded_head[f"{mesh} sampled"][kind]
  assert found["value"] < 1e-5
  assert found["for_hidden"] < 1e-5
  assert found["for_kernel"] < 1e-5
