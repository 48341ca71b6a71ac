"""Named axes of activations, with a mesh and without one."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh, PartitionSpec

from genret.models import activations

MESH = AbstractMesh((4, 2), ("data", "model"))
RULES = {"batch": "data", "mlp": "model", "embed": None}


def spec(shape, *axes):
  """Returns the constraint in the program, None where there is none."""
  jaxpr = jax.make_jaxpr(lambda x: activations.constrain(x, *axes))(
    jnp.zeros(shape)
  )
  eqns = [e for e in jaxpr.eqns if e.primitive.name == "sharding_constraint"]
  return eqns[0].params["sharding"].spec if eqns else None


def test_without_a_mesh_nothing_is_said():
  assert spec((8, 6), "batch", "mlp") is None


@pytest.mark.parametrize(
  ("shape", "expected"),
  [
    ((8, 6), ("data", "model")),
    ((8, 3, 6), ("data", None, "model")),  # the last name is the last axis'
    ((6, 6), (None, "model")),  # 4 does not divide 6
    ((8, 5), ("data", None)),
  ],
)
def test_axes_are_split_where_the_mesh_divides_them(shape, expected):
  with activations.placed(MESH, RULES):
    assert spec(shape, "batch", "mlp") == PartitionSpec(*expected)
  assert spec(shape, "batch", "mlp") is None


def test_names_without_a_rule_are_whole():
  with activations.placed(MESH, RULES):
    assert spec((8, 6), "batch", "embed") == PartitionSpec("data", None)
    assert spec((8, 6), "batch", "kv") == PartitionSpec("data", None)
    assert spec((8, 6), "batch", None) == PartitionSpec("data", None)
