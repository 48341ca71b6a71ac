"""XLA's own counts, against the products that are there."""

import jax
import jax.numpy as jnp
import pytest

from genret.models.compiled_flops import compiled_flops

ROWS = jax.ShapeDtypeStruct((32, 16), jnp.float32)
ONE = 2 * 32 * 16 * 32  # of ROWS @ ROWS.T


def test_products_and_what_is_added_are_counted():
  found = compiled_flops(lambda a: a @ a.T + 1.0, ROWS)
  assert found == pytest.approx(ONE + 32 * 32, rel=0.01)


def test_a_loop_whose_body_would_count_once_is_not_counted():
  def repeated(a):
    return jax.lax.fori_loop(0, 5, lambda i, made: made @ made.T @ a, a)

  assert compiled_flops(repeated, ROWS) is None


def test_a_loop_without_products_is_no_hindrance():
  def counting(a):
    return a @ a.T + jax.lax.fori_loop(0, 5, lambda i, made: made + 1.0, 0.0)

  assert compiled_flops(counting, ROWS) == pytest.approx(ONE, rel=0.05)
