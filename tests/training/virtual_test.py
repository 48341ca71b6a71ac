"""A twin of the step, compiled for devices that are not there."""

import dataclasses
import re

import jax
import pytest

from genret.core.errors import ConfigError
from genret.models.sizes import SIZES, PawaConfig
from genret.training import virtual
from genret.training.chunked import Chunked
from genret.training.fitting import Split, Step
from genret.training.losses import Loss
from genret.training.memory import Weights
from genret.training.optimizers import Adafactor
from genret.training.partitioning import MeshShape

STEP = Step(
  config=dataclasses.replace(
    SIZES["xxl"],
    docid_vocab_size=8_841_825,
    docid_length=1,
    scan_layers=True,
  ),
  optimizer=Adafactor(multipliers={"layers_23": 0.5}),
  loss=Loss(),
  batch_size=512,
  input_length=128,
  target_length=4,
)
PREFIX_AWARE = {
  "docid_vocab_size": 112,
  "docid_length": 2,
  "level_starts": (2, 12),
  "pawa": PawaConfig(num_heads=8),
}


def test_a_twin_is_divided_as_the_real_one_is():
  split = Split(
    num_devices=24, mesh=MeshShape(model=6, fully_sharded=True), accumulate=2
  )
  small = virtual.twin(STEP, split)
  for name in ("num_heads", "mlp_dim", "vocab_size", "head_width"):
    real = getattr(STEP.config, name) % 6 == 0
    assert (getattr(small.config, name) % 6 == 0) == real
  assert small.config.emb_dim % 4 == 0
  assert small.config.docid_length == 1 and small.config.scan_layers
  assert isinstance(small.loss.head, Chunked)
  assert small.problem(split) is None
  params = sum(leaf.size for leaf in _leaves(small))
  assert params < 5_000


def _split(step, split):
  """Returns the mesh axes of each parameter, by path."""
  specs = Weights(
    variables=step.variables, sizes=split.sizes, mesh=split.mesh
  ).specs
  return {
    jax.tree_util.keystr(path): tuple(spec)
    for path, spec in jax.tree_util.tree_leaves_with_path(specs)
    if not re.search(r"layers_([2-9]|\d\d)", jax.tree_util.keystr(path))
  }


@pytest.mark.parametrize(
  ("changes", "ways"),
  [
    ({}, 4),  # of 6 heads of 64, none is divided and all together are
    ({"head_dim": 3}, 4),
    ({"head_dim": 3}, 6),
    ({"num_heads": 5, "head_dim": 3}, 2),
    ({"docid_vocab_size": 1027, "docid_length": 3}, 2),
    ({"docid_vocab_size": 129, "docid_length": 3}, 3),
    ({"docid_vocab_size": 128, "docid_length": 3}, 3),
    ({"docid_vocab_size": 1027, "docid_length": 1}, 2),
    ({"vocab_size": 1001}, 2),
    ({"vocab_size": 1001}, 3),
    (PREFIX_AWARE, 2),
    (PREFIX_AWARE, 3),  # which divides neither 512 nor 8
  ],
)
@pytest.mark.parametrize("fully_sharded", [False, True])
def test_each_parameter_of_a_twin_is_split_as_in_the_real_one(
  changes, ways, fully_sharded
):
  split = Split(
    num_devices=2 * ways,
    mesh=MeshShape(model=ways, fully_sharded=fully_sharded),
  )
  config = dataclasses.replace(SIZES["small"], **changes)
  real = dataclasses.replace(STEP, config=config)
  assert _split(virtual.twin(real, split), split) == _split(real, split)


def _leaves(step):
  return jax.tree.leaves(step.variables["params"])


@pytest.mark.parametrize(
  ("devices", "model", "sizes"),
  [
    (8, 2, {"data": 4, "model": 2}),
    (256, 8, {"data": 8, "model": 8}),
    (256, 1, {"data": 64, "model": 1}),
    (128, 128, {"data": 1, "model": 64}),
    (512, 64, {"data": 2, "model": 32}),
    (96, 24, {"data": 2, "model": 24}),
  ],
)
def test_many_devices_become_few_and_both_axes_stay(devices, model, sizes):
  split = Split(num_devices=devices, mesh=MeshShape(model=model))
  assert virtual.fewer(split).sizes == sizes


@pytest.mark.slow
def test_the_compiler_gives_each_device_what_was_counted():
  split = Split(
    num_devices=4, mesh=MeshShape(model=2, fully_sharded=True), remat="dots"
  )
  found = virtual.compile_virtually(STEP, split)
  assert found.sizes == {"data": 2, "model": 2}
  assert found.given_bytes == found.counted_bytes
  assert 0.3 * found.arrays < found.split < found.arrays


def test_what_does_not_compile_is_said():
  broken = dataclasses.replace(STEP, target_length=0)
  with pytest.raises(ConfigError, match="does not compile"):
    virtual.compile_virtually(broken, Split(num_devices=2, mesh=MeshShape()))
