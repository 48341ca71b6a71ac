"""Scanned and rematerialised layers against layers run one by one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.models import layers, stack
from genret.models.t5 import T5

INPUTS = jnp.asarray([[5, 6, 7, 1, 0], [8, 9, 1, 0, 0]])
SYMBOLS = jnp.asarray([[0, 3, 4], [0, 5, 2]])
CHOICES = [
  ("dots", False),
  ("full", True),
  pytest.param("full", False, marks=pytest.mark.slow),
  pytest.param("none", True, marks=pytest.mark.slow),
]


def run(config, params, *, key=None):
  """Returns logits, and the gradient of their mean square."""

  def loss(params):
    logits = T5(config).apply(
      {"params": params},
      INPUTS,
      SYMBOLS,
      deterministic=key is None,
      rngs=None if key is None else {"dropout": key},
    )
    return jnp.mean(jnp.square(logits[..., :9])), logits

  gradient, logits = jax.jit(jax.grad(loss, has_aux=True))(params)
  return logits, gradient


@pytest.fixture(scope="module")
def unrolled(config, params):
  return run(config, params, key=jax.random.key(3))


@pytest.mark.parametrize(("remat", "scan_layers"), CHOICES)
def test_values_and_gradients_are_those_of_the_unrolled(
  remat, scan_layers, config, params, unrolled
):
  """With dropout: the masks belong to a layer's number."""
  other = dataclasses.replace(config, remat=remat, scan_layers=scan_layers)
  found = run(other, params, key=jax.random.key(3))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    found,
    unrolled,
  )


def test_bfloat16_is_scanned_in_bfloat16(config, params):
  """A rounded copy of kernels, and of their gradients."""
  config = dataclasses.replace(config, dtype="bfloat16")
  plain = run(config, params)[0]
  found = run(dataclasses.replace(config, scan_layers=True), params)
  np.testing.assert_allclose(found[0], plain, rtol=0.05, atol=0.05)
  assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(found[1]))


def test_parameters_are_the_same_whatever_is_chosen(config, params):
  config = dataclasses.replace(config, remat="full", scan_layers=True)
  found = T5(config).init(jax.random.key(1), INPUTS, SYMBOLS)["params"]
  jax.tree.map(np.testing.assert_array_equal, found, params)


def test_a_scan_holds_one_layer(config, params):
  """Programs do not grow with the number of layers."""
  config = dataclasses.replace(config, scan_layers=True)

  def encode(params):
    return layers.encode(params, config, INPUTS)

  text = str(jax.make_jaxpr(encode)(params))
  assert text.count("tanh") == 1
  assert "length=2" in text


def test_what_is_kept_for_the_backward_pass(config, params):
  """Elements of activations, by choice: each keeps less than the other."""

  def kept(remat):
    chosen = dataclasses.replace(config, remat=remat)

    def encode(params):
      return layers.encode(params, chosen, INPUTS).sum()

    _, backward = jax.vjp(encode, params)
    # Of parameters, which it keeps too, none has three dimensions.
    return sum(x.size for x in jax.tree.leaves(backward) if x.ndim >= 3)

  everything, products, inputs = map(kept, ("none", "dots", "full"))
  assert inputs < products < everything
  # Two layers, 2 x 5 positions: q, k, v, attention's and the MLP's output of
  # 16, the MLP's two inward products of 24.
  assert products - inputs <= 2 * 10 * (5 * 16 + 2 * 24)


def test_a_lone_layer_is_not_scanned(config):
  one = dataclasses.replace(config, scan_layers=True)

  def apply(params, x, index):
    assert isinstance(index, int)
    return x * params["a"] + index

  x = stack.run([{"a": jnp.ones(())}], jnp.ones((1, 2)), apply, config=one)
  np.testing.assert_array_equal(x, jnp.ones((1, 2)))
