"""Products counted in programs, against counts by hand."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.sharding import AbstractMesh, PartitionSpec

from genret.models.flops import flops, has_loops

SQUARE = jnp.ones((4, 4))
ONE = 2 * 4 * 4 * 4  # of SQUARE @ SQUARE


def test_a_product_with_batch_and_two_contracted_axes():
  a = jax.ShapeDtypeStruct((7, 2, 3, 5), jnp.float32)
  b = jax.ShapeDtypeStruct((7, 3, 5, 11), jnp.float32)
  found = flops(lambda a, b: jnp.einsum("bihj,bhjk->bik", a, b), a, b)
  assert found == 2 * 7 * 2 * (3 * 5) * 11


def test_a_strided_convolution():
  x = jax.ShapeDtypeStruct((2, 3, 8, 8), jnp.float32)
  kernel = jax.ShapeDtypeStruct((6, 3, 3, 3), jnp.float32)
  found = flops(lambda x, k: lax.conv(x, k, (2, 2), "SAME"), x, kernel)
  assert found == 2 * (2 * 6 * 4 * 4) * (3 * 3 * 3)


def test_a_grouped_convolution_sums_over_its_group():
  x = jax.ShapeDtypeStruct((2, 4, 9), jnp.float32)
  kernel = jax.ShapeDtypeStruct((6, 2, 3), jnp.float32)

  def convolve(x, kernel):
    return lax.conv_general_dilated(
      x, kernel, (1,), "VALID", feature_group_count=2
    )

  assert flops(convolve, x, kernel) == 2 * (2 * 6 * 7) * (2 * 3)


def test_elementwise_work_is_not_counted():
  assert flops(lambda x: jnp.tanh(x * x).sum(), SQUARE) == 0


def test_a_scan_counts_as_often_as_it_runs_and_nests():
  def inner(x, _):
    return x @ x, None

  def outer(x, _):
    x, _ = lax.scan(inner, x, None, length=3)
    return x @ x, None

  found = flops(lambda x: lax.scan(outer, x, None, length=5)[0], SQUARE)
  assert found == 5 * (3 + 1) * ONE


def test_xla_counts_the_body_of_that_scan_once():
  """Why this module exists; where it fails, XLA has learned to count."""

  def scanned(x):
    return lax.scan(lambda x, _: (x @ x, None), x, None, length=8)[0]

  counted = jax.jit(scanned).lower(SQUARE).cost_analysis()["flops"]
  assert flops(scanned, SQUARE) == 8 * ONE
  assert counted < 2 * ONE


def test_a_while_loop_needs_to_be_told_how_often_it_runs():
  def halve(x):
    return lax.while_loop(lambda x: x.sum() > 1, lambda x: x @ x / 8, x)

  with pytest.raises(ValueError, match="give while_trips"):
    flops(halve, SQUARE)
  assert flops(halve, SQUARE, while_trips=6) == 6 * ONE


def test_a_while_loop_without_products_needs_nothing():
  def count(x):
    return lax.while_loop(lambda x: x.sum() < 99, lambda x: x + 1, x)

  assert flops(count, SQUARE) == 0


def test_the_dearest_branch_counts():
  def either(x):
    return lax.cond(x.sum() > 0, lambda x: x @ x @ x, lambda x: x @ x, x)

  assert flops(either, SQUARE) == 2 * ONE


def test_a_remembered_product_and_one_made_again():
  def loss(x):
    return jnp.tanh(x @ x).sum()

  plain = flops(jax.grad(loss), SQUARE)
  again = flops(jax.grad(jax.checkpoint(loss)), SQUARE)
  assert (plain, again) == (3 * ONE, 4 * ONE)


def test_own_derivatives_and_jit():
  @jax.custom_vjp
  def square(x):
    return x @ x

  square.defvjp(lambda x: (square(x), x), lambda x, g: (g @ x @ x,))
  assert flops(jax.jit(square), SQUARE) == ONE
  assert flops(jax.grad(lambda x: square(x).sum()), SQUARE) == 3 * ONE


def test_devices_of_a_mesh_are_summed():
  mesh = AbstractMesh((2, 3), ("data", "model"))
  rows = PartitionSpec("data")
  x = jax.ShapeDtypeStruct((4, 6), jnp.float32)

  def products(x):
    return x @ x.T  # [2, 2] on each device; three hold the same

  mapped = jax.shard_map(products, mesh=mesh, in_specs=rows, out_specs=rows)
  assert flops(mapped, x) == 2 * 3 * (2 * 2 * 2 * 6)


@pytest.mark.parametrize(("turns", "found"), [(1, False), (3, True)])
def test_a_loop_is_found_inside_a_branch_of_a_jitted_function(turns, found):
  def turned(made):
    return lax.scan(lambda a, _: (a @ a, None), made, length=turns)[0]

  def inside(made):
    return lax.cond(made.sum() > 0, turned, lambda made: made, made)

  assert has_loops(jax.jit(inside), SQUARE) is found
