"""How rows and head are split; `chunked_test` runs what comes of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, Mesh
from jax.sharding import PartitionSpec as P

from genret.training.head_layout import WHOLE, Layout
from genret.training.partitioning import MeshShape

MESH = AbstractMesh((4, 2), ("data", "model"))
SPLIT = MeshShape().rules
FULLY = MeshShape(fully_sharded=True).rules


def _specs(rules, *, rows=8, dim=16, width=128):
  layout = Layout.of(
    MESH,
    rules=rules,
    hidden=jnp.zeros((rows, dim)),
    kernel=jnp.zeros((dim, width)),
  )
  return layout.of_rows, layout.of_kernel


@pytest.mark.parametrize(
  ("given", "rows", "kernel"),
  [
    (_specs(SPLIT), P("data"), P(None, "model")),
    (_specs(FULLY), P("data"), P("data", "model")),
    (_specs(FULLY, rows=6), P(None), P("data", "model")),
    (_specs(FULLY, dim=18), P("data"), P(None, "model")),
    (_specs(SPLIT, width=127), P("data"), P(None, None)),
  ],
)
def test_what_an_axis_does_not_divide_is_whole(given, rows, kernel):
  assert given == (rows, kernel)


def test_one_device_has_it_all():
  mesh = Mesh(np.asarray(jax.devices()[:1]).reshape(1, 1), ("data", "model"))
  arrays = {"hidden": jnp.zeros((2, 3)), "kernel": jnp.zeros((3, 4))}
  assert Layout.of(mesh, rules=FULLY, **arrays) == WHOLE


def test_without_a_mesh_parts_are_the_whole():
  x = jnp.arange(6.0).reshape(2, 3)
  assert WHOLE.first_column(3) == 0
  for exchange in (
    WHOLE.gathered,
    WHOLE.summed,
    WHOLE.sum_over_columns,
  ):
    assert exchange(x) is x
