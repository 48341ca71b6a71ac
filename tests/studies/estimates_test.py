"""Guesses of sizes and hours before anything is run."""

import dataclasses

import pytest

from genret.models.t5 import T5Config
from genret.stages import dual_config
from genret.stages.hard_negatives import HardNegatives
from genret.stages.train import TrainConfig
from genret.studies import estimates
from genret.training.loop import LoopConfig

CONFIG = TrainConfig(
  model=T5Config(
    emb_dim=8,
    num_heads=1,
    head_dim=8,
    mlp_dim=16,
    num_encoder_layers=1,
    num_decoder_layers=1,
  ),
  mixture="m",
  task_feature_lengths={"inputs": 128, "targets": 16},
  loop=LoopConfig(train_steps=1),
  batch_size=32,
  input_length=64,
)


def test_sizes_are_counted_and_hours_follow_operations(layout, cell_of):
  found = estimates.estimate(layout, cell_of(), CONFIG)
  table = 32128 * 8  # of the text vocabulary
  layer = 4 * 64 + 3 * 8 * 16  # attention and gated feed-forward kernels
  more = found.parameters - table - layer - (layer + 4 * 64)
  head = 128 * 8  # of 6 symbols, rounded up
  assert head < more < head + 200  # norms, positions
  assert found.calibration.documents == 4
  assert found.calibration.examples_a_step == 32 * 8
  wide = dataclasses.replace(CONFIG, batch_size=64)
  twice = estimates.estimate(layout, cell_of(), wide).calibration
  assert twice.cost.step == pytest.approx(2 * found.calibration.cost.step)


def test_rows_that_are_not_packed_hold_one_example(layout, cell_of):
  config = dataclasses.replace(CONFIG, pack=False)
  found = estimates.estimate(layout, cell_of(), config).calibration
  assert found.examples_a_step == 32


def test_a_collection_is_counted_once_it_is_prepared(layout, prepared, cell_of):
  assert estimates.num_documents(layout, cell_of()) == 4
  assert estimates.num_documents(layout, cell_of(collection="other")) is None
  found = estimates.estimate(layout, cell_of(collection="other"), CONFIG)
  assert found.parameters is None and found.calibration is None


def test_a_dual_encoder_has_no_docids(layout, cell_of):
  config = dual_config.TrainConfig(
    model=CONFIG.model,
    mixture="m",
    loop=CONFIG.loop,
    batch_size=16,
    input_length=32,
    document_length=64,
    negatives=HardNegatives(count=2),
  )
  found = estimates.estimate(layout, cell_of(), config)
  table = 32128 * 8  # of the text vocabulary
  encoder = found.parameters - table
  assert encoder > 4 * 64 + 3 * 8 * 16
  assert found.step_flops == 6 * encoder * 16 * (32 + 3 * 64)
  assert found.calibration.examples_a_step == 16
  step = found.calibration.cost.step
  assert step == pytest.approx(found.step_flops / estimates.FLOPS)
  several = dataclasses.replace(config, temperatures=(0.1, 0.2))
  tuned = estimates.estimate(layout, cell_of(), several).calibration.cost
  assert tuned.step == pytest.approx(step * 1.2)  # two tenths of the run
  several = dataclasses.replace(several, tuning_steps=50)
  tuned = estimates.estimate(layout, cell_of(), several).calibration.cost
  expected = estimates.START + 2 * (50 * step + estimates.LOOK)
  assert tuned.start == pytest.approx(expected) and tuned.step == step
  other = estimates.estimate(layout, cell_of(collection="other"), config)
  assert other.parameters == found.parameters and other.calibration is None
