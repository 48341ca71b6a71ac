"""The divergence of two passes, by its definition, masked and far apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.models.layers import NO_SYMBOL
from genret.training.consistency import divergence


def draw(seed, *shape):
  return np.random.default_rng(seed).normal(size=shape) * 3


def by_definition(logits, others):
  p, q = (
    np.exp(x) / np.exp(x).sum(-1, keepdims=True) for x in (logits, others)
  )
  return ((p * np.log(p / q)).sum(-1) + (q * np.log(q / p)).sum(-1)) / 2


def test_equals_its_definition():
  logits, others = draw(0, 4, 7), draw(1, 4, 7)
  found = divergence(jnp.asarray(logits), jnp.asarray(others))
  np.testing.assert_allclose(found, by_definition(logits, others), rtol=1e-5)
  back = divergence(jnp.asarray(others), jnp.asarray(logits))
  np.testing.assert_allclose(found, back, rtol=1e-6)
  assert float(divergence(logits, logits).max()) == 0


@pytest.mark.parametrize("masked", [-np.inf, NO_SYMBOL, 2 * NO_SYMBOL])
def test_masked_symbols_count_nowhere(masked):
  """Neither in the value nor in the gradient, in either pass."""
  logits, others = draw(0, 3, 5), draw(1, 3, 5)
  pads = ((0, 0), (0, 2))
  wide = jnp.pad(jnp.asarray(logits), pads, constant_values=masked)
  other = jnp.pad(jnp.asarray(others), pads, constant_values=masked)
  other = other.at[:, 5].set(4.0)  # masked in one pass alone
  graded = jax.value_and_grad(lambda x, y: divergence(x, y).sum(), (0, 1))
  value, slopes = graded(wide, other)
  expected, wanted = graded(jnp.asarray(logits), jnp.asarray(others))
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  for slope, want in zip(slopes, wanted, strict=True):
    np.testing.assert_allclose(slope[:, :5], want, rtol=1e-4, atol=1e-6)
    assert (slope[:, 5:] == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_passes_that_exclude_each_other_stay_finite(dtype):
  logits = jnp.asarray([[3e4, 0.0, -3e4], [0.0, 0.0, 0.0]], dtype)
  others = jnp.asarray([[-3e4, 0.0, 3e4], [np.nan, -np.inf, -np.inf]], dtype)
  value, slopes = jax.value_and_grad(
    lambda x, y: divergence(x, y).sum(), (0, 1)
  )(logits, others)
  assert value.dtype == jnp.float32
  np.testing.assert_allclose(value, 6e4, rtol=0.01)
  assert all(np.isfinite(np.asarray(s, np.float32)).all() for s in slopes)


def test_a_row_of_masks_is_not_apart():
  nothing = jnp.full((2, 3), -jnp.inf)
  slope = jax.grad(lambda x: divergence(x, nothing).sum())(nothing)
  assert float(divergence(nothing, nothing).sum()) == 0
  assert (slope == 0).all()
