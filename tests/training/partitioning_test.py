"""Where arrays live, on meshes of devices that need not exist."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import partitioning as nn_partitioning
from jax.sharding import AbstractMesh, PartitionSpec

from genret.core.errors import ConfigError
from genret.models.activations import constrain
from genret.models.t5 import T5, T5Config
from genret.training import partitioning
from genret.training.optimizers import Adafactor, AdamW
from genret.training.partitioning import MeshShape

CONFIG = T5Config(
  vocab_size=64,
  emb_dim=16,
  num_heads=2,
  head_dim=8,
  mlp_dim=36,
  num_encoder_layers=1,
  num_decoder_layers=1,
  docid_vocab_size=12,
  docid_length=3,
  head_multiple=16,
)
TEXT_DOCIDS = dataclasses.replace(
  CONFIG, docid_vocab_size=None, docid_length=None
)
ATOMIC = dataclasses.replace(CONFIG, docid_length=1)


def variables(config):
  tokens = jnp.ones((1, 4), jnp.int32)
  return jax.eval_shape(
    lambda: T5(config).init(jax.random.key(0), tokens, tokens)
  )


def specs(config, *, model):
  """Returns path -> PartitionSpec on a mesh of 2 x `model` devices."""
  mesh = AbstractMesh((2, model), ("data", "model"))
  tree = partitioning.partition_specs(variables(config), mesh.shape)
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): spec
    for path, spec in jax.tree_util.tree_leaves_with_path(tree)
  }


def test_one_device_is_a_mesh_too():
  assert dict(MeshShape().build().shape) == {
    "data": jax.device_count(),
    "model": 1,
  }


def test_a_divisor_that_divides_nothing_is_refused():
  model = 2 * jax.device_count()
  with pytest.raises(ConfigError, match=f"cannot be split {model} ways"):
    MeshShape(model=model).build()


@pytest.mark.parametrize("model", [0, -1])
def test_ways_count_from_one(model):
  with pytest.raises(ConfigError, match=f"model is {model}; expected 1"):
    MeshShape(model=model)


@pytest.mark.parametrize("config", [CONFIG, TEXT_DOCIDS, ATOMIC])
def test_every_axis_of_a_parameter_has_a_rule(config):
  tree = variables(config)
  axes = nn_partitioning.get_axis_names(tree["params_axes"])
  leaves = jax.tree.leaves(
    axes, is_leaf=lambda leaf: isinstance(leaf, PartitionSpec)
  )
  assert len(leaves) == len(jax.tree.leaves(tree["params"]))
  used = {name for leaf in leaves for name in leaf}
  assert used - dict(partitioning.AXIS_RULES).keys() == set()


def test_rules_name_axes_of_the_mesh_and_each_once():
  names = [name for name, _ in partitioning.AXIS_RULES]
  assert len(names) == len(set(names))
  targets = {axis for _, axis in partitioning.AXIS_RULES}
  assert targets == {"data", "model", None}


def test_wide_axes_are_split_and_those_of_the_stream_are_whole():
  found = specs(CONFIG, model=4)
  assert found["token_embedder/embedding"] == PartitionSpec("model", None)
  assert found["decoder/docid_embedder/embedding"] == PartitionSpec(
    "model", None
  )
  assert found["decoder/logits_dense/kernel"] == PartitionSpec(None, "model")
  layer = "encoder/layers_0"
  query = found[f"{layer}/attention/query/kernel"]
  assert query == PartitionSpec(None, "model")
  out = found[f"{layer}/attention/out/kernel"]
  assert out == PartitionSpec("model", None)
  assert found[f"{layer}/mlp/wi_0/kernel"] == PartitionSpec(None, "model")
  assert found[f"{layer}/mlp/wo/kernel"] == PartitionSpec("model", None)
  assert found["encoder/encoder_norm/scale"] == PartitionSpec(None)


def test_an_axis_that_does_not_divide_evenly_is_kept_whole():
  """Of 64 ids, 12 symbols, 36 hidden and 16 joined, 3 divides two."""
  found = specs(CONFIG, model=3)
  assert found["token_embedder/embedding"] == PartitionSpec(None, None)
  assert found["decoder/docid_embedder/embedding"] == PartitionSpec(
    "model", None
  )
  layer = "encoder/layers_0"
  query = found[f"{layer}/attention/query/kernel"]
  assert query == PartitionSpec(None, None)
  assert found[f"{layer}/mlp/wi_0/kernel"] == PartitionSpec(None, "model")


def test_the_one_row_of_an_atomic_model_is_kept_whole():
  found = specs(ATOMIC, model=2)
  row = found["decoder/docid_embedder/embedding"]
  assert row == PartitionSpec(None, None)


def test_batches_are_split_over_data_and_the_rest_is_everywhere():
  mesh = MeshShape().build()
  assert partitioning.batch_sharding(mesh).spec == PartitionSpec("data")
  assert partitioning.replicated(mesh).is_fully_replicated


def test_fully_sharded_parameters_split_the_stream_over_the_batchs_devices():
  shape = MeshShape(model=2, fully_sharded=True)
  tree = partitioning.partition_specs(
    variables(CONFIG), shape.sizes(8), shape.rules
  )
  layer = tree["encoder"]["layers_0"]
  query = layer["attention"]["query"]["kernel"]
  assert query == PartitionSpec("data", "model")
  assert layer["mlp"]["wo"]["kernel"] == PartitionSpec("model", "data")
  norm = layer["pre_mlp_layer_norm"]["scale"]
  assert norm == PartitionSpec("data")


def test_moments_are_split_as_their_parameters():
  params = {
    "wide": jnp.zeros((16, 32)),
    "tall": jnp.zeros((32, 16)),
    "square": jnp.zeros((16, 16)),
    "norm": jnp.zeros((16,)),
  }
  split = {
    "wide": PartitionSpec("data", "model"),
    "tall": PartitionSpec("model", "data"),
    "square": PartitionSpec("data", "model"),
    "norm": PartitionSpec("data"),
  }
  adafactor = Adafactor(min_dim_size_to_factor=16).build(10)
  state = jax.eval_shape(adafactor.init, params)
  specs = partitioning.state_specs(state, params, split)
  assert jax.tree.structure(state) == jax.tree.structure(
    specs, is_leaf=lambda leaf: isinstance(leaf, PartitionSpec)
  )
  (factored,) = (
    node
    for node in jax.tree.leaves(
      specs, is_leaf=lambda node: hasattr(node, "v_row")
    )
    if hasattr(node, "v_row")
  )
  # The row moments lack the larger dimension, the columns' the smaller. Of a
  # square matrix, optax takes the last for the larger.
  data, model = PartitionSpec("data"), PartitionSpec("model")
  whole = PartitionSpec()
  assert factored.v_row == {
    "wide": data,
    "tall": data,
    "square": data,
    "norm": whole,
  }
  assert factored.v_col == {
    "wide": model,
    "tall": model,
    "square": model,
    "norm": whole,
  }
  assert factored.v["norm"] == data
  assert factored.v["wide"] == whole
  assert factored.count == whole


def test_first_and_second_moments_of_adam_are_split_too():
  params = {"a": jnp.zeros((4, 8))}
  split = {"a": PartitionSpec("data", "model")}
  state = jax.eval_shape(AdamW().build(10_000).init, params)
  specs = jax.tree.leaves(
    partitioning.state_specs(state, params, split),
    is_leaf=lambda leaf: isinstance(leaf, PartitionSpec),
  )
  assert specs.count(split["a"]) == 2
  assert set(specs) == {split["a"], PartitionSpec()}


def test_only_a_mesh_of_several_devices_constrains():
  def program(mesh):
    with partitioning.constrained(mesh):
      return str(
        jax.make_jaxpr(lambda x: constrain(x, "batch", "mlp"))(
          jnp.zeros((4, 4))
        )
      )

  names = ("data", "model")
  assert "sharding_constraint" not in program(AbstractMesh((1, 1), names))
  assert "sharding_constraint" in program(AbstractMesh((2, 1), names))


@dataclasses.dataclass(frozen=True)
class Device:
  """A device of which only the process counts."""

  process_index: int


@pytest.mark.parametrize(
  ("processes", "expected"),
  [
    ([[0, 0], [0, 0], [1, 1], [1, 1]], (0, 2)),  # two rows of devices each
    ([[0, 1], [0, 1]], (0, 1)),  # the model axis goes through both
    ([[2, 3], [0, 1]], (1, 2)),  # pairs of processes share rows
  ],
)
def test_a_process_reads_the_rows_of_its_own_devices(processes, expected):
  grid = [[Device(process) for process in row] for row in processes]
  mesh = types.SimpleNamespace(devices=np.asarray(grid))
  found = partitioning.input_shard(mesh)
  assert (found.index, found.count) == expected


def test_batches_must_divide_over_devices_and_parts():
  mesh = AbstractMesh((4, 2), ("data", "model"))
  partitioning.check_rows(24, mesh, parts=3)
  with pytest.raises(ConfigError, match="make it a multiple of 12"):
    partitioning.check_rows(20, mesh, parts=3)


def test_a_model_axis_through_half_a_process_is_refused():
  grid = [[Device(0), Device(0), Device(1)], [Device(1), Device(2), Device(2)]]
  mesh = types.SimpleNamespace(devices=np.asarray(grid))
  with pytest.raises(ConfigError, match="goes through some processes in part"):
    partitioning.input_shard(mesh)
