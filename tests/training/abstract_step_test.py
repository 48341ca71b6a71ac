import dataclasses

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from genret.models.t5 import T5Config
from genret.training import abstract_step
from genret.training.chunked import Chunked
from genret.training.fitting import Split, Step
from genret.training.losses import Loss, Plain
from genret.training.optimizers import Adafactor
from genret.training.partitioning import MeshShape

D, H, DH, F, V, R = 16, 2, 8, 32, 128, 32
J, B, L, T = H * DH, 4, 10, 6
STEP = Step(
  config=T5Config(
    vocab_size=64,
    emb_dim=D,
    num_heads=H,
    head_dim=DH,
    mlp_dim=F,
    num_encoder_layers=3,
    num_decoder_layers=2,
    docid_vocab_size=V,
    docid_length=3,
  ),
  optimizer=Adafactor(),
  loss=Loss(head=Plain()),
  batch_size=B,
  input_length=L,
  target_length=T,
)
SPLIT = Split(num_devices=1, mesh=MeshShape())


def attention(queries, keys):
  """Products of an attention, one row: four kernels, scores, values."""
  return 2 * D * J * (queries + keys) + 2 * queries * keys * J


LAYERS = 3 * (attention(L, L) + 3 * L * D * F) + 2 * (
  attention(T, T) + attention(T, L) + 3 * T * D * F
)
HEAD = T * D * V
BIASES = H * R * (L * L + T * T)


def test_a_step_is_three_forward_passes():
  """One forward, two products for each backward; biases differentiate once."""
  expected = 2 * (B * 3 * (LAYERS + HEAD) + 2 * BIASES)
  assert abstract_step.step_flops(STEP, SPLIT) == expected


def test_scanned_layers_cost_the_same():
  config = dataclasses.replace(STEP.config, scan_layers=True)
  scanned = dataclasses.replace(STEP, config=config)
  assert abstract_step.step_flops(scanned, SPLIT) == abstract_step.step_flops(
    STEP, SPLIT
  )


def test_a_chunked_head_makes_its_logits_again():
  chunked = dataclasses.replace(STEP, loss=Loss(head=Chunked(size=48)))
  more = abstract_step.step_flops(chunked, SPLIT) - abstract_step.step_flops(
    STEP, SPLIT
  )
  assert more == 2 * B * HEAD


def test_remat_makes_layers_again_but_for_their_last_product():
  """Nobody needs what a layer's MLP writes once more: that was kept."""
  full = dataclasses.replace(SPLIT, remat="full")
  more = abstract_step.step_flops(STEP, full) - abstract_step.step_flops(
    STEP, SPLIT
  )
  last = (3 * L + 2 * T) * D * F
  assert more == 2 * B * (LAYERS - last)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_state_and_batch_are_those_of_a_real_step(accumulate):
  mesh = Mesh(np.asarray(jax.devices()[:1]).reshape(1, 1), ("data", "model"))
  split = dataclasses.replace(SPLIT, accumulate=accumulate)
  program = abstract_step.program(STEP, split, mesh)
  after, _ = jax.eval_shape(
    program.step, program.abstract_state(), abstract_step.batch(STEP)
  )
  real = jax.eval_shape(program.init_state)
  shape = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after)
  assert shape == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), real)
