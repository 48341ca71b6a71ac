"""Bytes counted beforehand, against hand counts, JAX and XLA."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from genret.models import shapes
from genret.models.t5 import T5, T5Config
from genret.training import abstract_step, memory
from genret.training.chunked import Chunked
from genret.training.fitting import Split, Step
from genret.training.losses import Loss
from genret.training.memory import Rows, Weights
from genret.training.optimizers import Adafactor, AdamW
from genret.training.partitioning import MeshShape

CONFIG = T5Config(
  vocab_size=64,
  emb_dim=96,
  num_heads=4,
  head_dim=16,
  mlp_dim=160,
  num_encoder_layers=4,
  num_decoder_layers=3,
  docid_vocab_size=100,
  docid_length=9,
)
B, L, T = 5, 33, 9
ROWS = Rows(count=B, input_length=L, target_length=T)
WHOLE = {"data": 1, "model": 1}


def weights(config=CONFIG, *, mesh=MeshShape(), devices=1):  # noqa: B008
  return Weights(
    variables=shapes.abstract(config), sizes=mesh.sizes(devices), mesh=mesh
  )


def state_bytes(weights, optimizer):
  init = optimizer.build(10).init
  return weights.state_bytes(jax.eval_shape(init, weights.variables["params"]))


def test_a_shard_is_the_array_over_the_ways_of_its_axes():
  leaf = jax.ShapeDtypeStruct((6, 8, 5), jnp.bfloat16)
  spec = PartitionSpec("model", "data")
  sizes = {"data": 4, "model": 3}
  assert memory.shard_bytes([leaf], [spec], sizes) == 2 * 2 * 5 * 2
  assert memory.shard_bytes([leaf], [spec], sizes, itemsize=4) == 2 * 2 * 5 * 4


def test_state_of_one_device_is_all_of_it():
  found = state_bytes(weights(), AdamW())
  count = sum(leaf.size for leaf in jax.tree.leaves(weights().variables))
  assert found["weights"] == found["gradients"] == 4 * count
  counters = 2 * 4  # int32, of Adam and of its schedule
  assert found["optimizer state"] == 2 * 4 * count + counters


def test_factored_moments_are_a_row_and_a_column_of_each_matrix():
  config = T5Config(
    vocab_size=128,
    emb_dim=128,
    num_heads=2,
    head_dim=64,
    mlp_dim=256,
    num_encoder_layers=0,
    num_decoder_layers=0,
    docid_vocab_size=256,
    docid_length=1,
  )
  found = state_bytes(weights(config), Adafactor())
  factored = (128 + 128) + (256 + 128)  # of the embedding and of the head
  whole = 2 * 128 + 2 * 2 * 32 + 128  # norms, position biases, the BOS row
  single = 2 * 1 + 5 * 2  # what is not kept has one element, or two such
  counters = 2
  expected = 4 * (factored + whole + single + counters)
  assert found["optimizer state"] == expected


def test_fully_sharded_state_is_split_over_all_devices():
  config = dataclasses.replace(
    CONFIG, head_multiple=8, num_heads=8, head_dim=8, docid_vocab_size=104
  )
  mesh = MeshShape(model=2, fully_sharded=True)
  split = state_bytes(weights(config, mesh=mesh, devices=8), AdamW())
  whole = state_bytes(weights(config), AdamW())
  assert split["weights"] == pytest.approx(whole["weights"] / 8, rel=0.02)
  assert split["optimizer state"] == pytest.approx(
    whole["optimizer state"] / 8, rel=0.02
  )


def kept_by_jax(config):
  """Sums what JAX keeps between the passes, but for the parameters."""
  model = T5(config)
  params = shapes.abstract(config)["params"]

  def backward(params, inputs, targets):
    def forward(params):
      return model.apply(
        {"params": params},
        inputs,
        targets,
        encoder_segment_ids=inputs,
        decoder_segment_ids=targets,
        deterministic=False,
        rngs={"dropout": jax.random.key(0)},
      )

    return jax.vjp(forward, params)[1]

  inputs = jax.ShapeDtypeStruct((B, L), jnp.int32)
  targets = jax.ShapeDtypeStruct((B, T), jnp.int32)
  kept = jax.tree.leaves(jax.eval_shape(backward, params, inputs, targets))
  return sum(x.size * x.dtype.itemsize for x in kept if x.ndim > 2)


@pytest.mark.parametrize(
  ("dtype", "remat", "scan_layers"),
  [
    ("float32", "none", False),
    ("float32", "dots", True),
    ("float32", "full", False),
    ("bfloat16", "none", True),
    ("bfloat16", "dots", False),
    ("bfloat16", "full", True),
  ],
)
def test_formula_is_what_jax_keeps(dtype, remat, scan_layers):
  config = dataclasses.replace(
    CONFIG, dtype=dtype, remat=remat, scan_layers=scan_layers
  )
  found = memory.activation_bytes(config, Loss(), ROWS, weights=weights(config))
  formula = found["kept for backward"] + found["copy of layers"] // 2
  assert formula == pytest.approx(kept_by_jax(config), rel=0.04)


def test_model_axis_splits_what_is_wide():
  def kept(devices):
    mesh = MeshShape(model=devices)
    found = memory.activation_bytes(
      CONFIG, Loss(), ROWS, weights=weights(mesh=mesh, devices=devices)
    )
    return found["kept for backward"]

  assert 0.5 * kept(1) < kept(2) < 0.8 * kept(1)
  assert kept(3) == kept(1)  # 3 divides neither heads nor hidden units


def test_a_chunked_head_holds_chunks():
  def head(loss, width):
    config = dataclasses.replace(CONFIG, docid_vocab_size=width)
    return memory.activation_bytes(config, loss, ROWS, weights=weights(config))[
      "head at work"
    ]

  chunked = Loss(head=Chunked(size=128))
  assert head(Loss(), 1280) == 3 * 4 * B * T * 1280
  assert head(chunked, 1280) == head(chunked, 12_800)
  assert head(chunked, 1280) == 4 * (3 * B * T * 128 + 2 * 96 * 128)


@pytest.mark.slow
def test_xla_allocates_what_is_counted():
  """Float32 and scanned layers; docs/plan.md has other cases."""
  config = T5Config(
    vocab_size=512,
    emb_dim=128,
    num_heads=4,
    head_dim=32,
    mlp_dim=256,
    num_encoder_layers=4,
    num_decoder_layers=4,
    docid_vocab_size=1024,
    docid_length=8,
    scan_layers=True,
  )
  step = Step(
    config=config,
    optimizer=Adafactor(),
    loss=Loss(),
    batch_size=16,
    input_length=64,
    target_length=8,
  )
  split = Split(num_devices=1, mesh=MeshShape())
  mesh = Mesh(np.asarray(jax.devices()[:1]).reshape(1, 1), ("data", "model"))
  program = abstract_step.program(step, split, mesh)
  state = program.abstract_state()
  lowered = program.compile_step(state).lower(state, abstract_step.batch(step))
  allocated = lowered.compile().memory_analysis()
  parts = step.bytes(split)
  scratch = memory.peak(parts) - parts["weights"] - parts["optimizer state"]
  assert allocated.temp_size_in_bytes == pytest.approx(scratch, rel=0.15)
