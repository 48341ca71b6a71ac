"""The head a chunk at a time against the head as a whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.models.layers import NO_SYMBOL
from genret.training import chunked, losses, target_scores
from genret.training.chunked import Chunked
from genret.training.losses import Loss

WIDTH, NUM_SYMBOLS, DIM, ROWS = 128, 117, 16, 12
EXTRAS = Loss(label_smoothing=0.1, z_loss=1e-2)


def _inputs(seed: int = 0):
  rng = np.random.default_rng(seed)
  hidden = rng.normal(size=(ROWS, DIM))
  kernel = rng.normal(size=(DIM, WIDTH))
  targets = rng.integers(0, NUM_SYMBOLS, ROWS)
  targets[:2] = 0, NUM_SYMBOLS - 1
  weights = rng.integers(0, 2, ROWS)
  return (
    jnp.asarray(hidden, jnp.float32),
    jnp.asarray(kernel, jnp.float32),
    jnp.asarray(targets),
    jnp.asarray(weights, jnp.float32),
  )


def _plain(hidden, kernel, targets, weights, *, loss):
  real = jnp.arange(kernel.shape[1]) < NUM_SYMBOLS
  return losses.cross_entropy(
    jnp.where(real, hidden @ kernel, NO_SYMBOL),
    targets,
    weights,
    num_symbols=NUM_SYMBOLS,
    loss=loss,
  )


def _chunked(hidden, kernel, targets, weights, *, loss, size):
  scores = chunked.score(
    hidden,
    kernel,
    targets,
    num_symbols=NUM_SYMBOLS,
    with_mean=bool(loss.label_smoothing),
    size=size,
  )
  return losses.sums(scores, weights, loss=loss)


def _value_and_gradients(function, hidden, kernel, *rest):
  def total(hidden, kernel):
    sums = function(hidden, kernel, *rest)
    return sums.total, sums

  return jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))(
    hidden, kernel
  )


@pytest.mark.parametrize("loss", [Loss(z_loss=0.0), EXTRAS])
@pytest.mark.parametrize("size", [1, 32, 50, 128, 1000])
def test_value_and_gradients_equal_the_plain_ones(loss, size):
  inputs = _inputs()
  expected = _value_and_gradients(
    lambda *args: _plain(*args, loss=loss), *inputs
  )
  found = _value_and_gradients(
    lambda *args: _chunked(*args, loss=loss, size=size), *inputs
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    found,
    expected,
  )


def test_columns_that_pad_the_head_get_no_gradient():
  inputs = _inputs()
  _, (_, for_kernel) = _value_and_gradients(
    lambda *args: _chunked(*args, loss=EXTRAS, size=50), *inputs
  )
  assert not np.asarray(for_kernel)[:, NUM_SYMBOLS:].any()
  assert np.asarray(for_kernel)[:, :NUM_SYMBOLS].all()


def test_of_equal_logits_the_first_is_the_largest():
  scores = chunked.score(
    jnp.zeros((3, 4)),
    jnp.ones((4, 10)),
    jnp.asarray([0, 1, 9]),
    num_symbols=10,
    with_mean=False,
    size=3,
  )
  assert scores.largest.tolist() == [True, False, False]


def test_far_from_zero_nothing_overflows():
  hidden, kernel, targets, weights = _inputs()
  found = _chunked(hidden * 300, kernel, targets, weights, loss=EXTRAS, size=50)
  expected = _plain(hidden * 300, kernel, targets, weights, loss=EXTRAS)
  assert np.isfinite(float(found.total))
  np.testing.assert_allclose(
    float(found.total), float(expected.total), rtol=1e-5
  )


def test_neither_logits_nor_their_gradient_are_ever_whole():
  rows, dim, width, size = 64, 8, 65_536, 1024

  def total(hidden, kernel):
    scores = chunked.score(
      hidden,
      kernel,
      jnp.zeros(rows, jnp.int32),
      num_symbols=width,
      with_mean=False,
      size=size,
    )
    return (scores.log_z - scores.target).sum()

  compiled = (
    jax.jit(jax.grad(total, argnums=(0, 1)))
    .lower(jnp.zeros((rows, dim)), jnp.zeros((dim, width)))
    .compile()
  )
  logits = rows * width * 4
  used = compiled.memory_analysis().temp_size_in_bytes
  assert used < logits / 8


def test_scores_are_those_of_the_logits():
  hidden, kernel, targets, _ = _inputs()
  settings = {"num_symbols": WIDTH, "with_mean": True}
  found = chunked.score(hidden, kernel, targets, size=50, **settings)
  expected = target_scores.of_logits(hidden @ kernel, targets, **settings)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    found,
    expected,
  )


def test_a_chunk_without_columns_is_refused():
  with pytest.raises(ConfigError, match="size is 0"):
    Chunked(size=0)


@pytest.mark.parametrize("mesh", ["8x1", "4x2", "1x8", "4x2 whole columns"])
def test_split_over_a_mesh_it_is_the_same(mesh, sharded_head):
  """Value and gradients to 1e-5, the kernel split or fully sharded."""
  for layout, found in sharded_head[mesh].items():
    assert found["split"] == found["expected_split"], layout
    assert found["value"] < 1e-5, layout
    assert found["for_hidden"] < 1e-5, layout
    assert found["for_kernel"] < 1e-5, layout
    assert found["same_hits"], layout
