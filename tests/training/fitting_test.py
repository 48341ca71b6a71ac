"""Splits that fit, and how far they are."""

import dataclasses

import pytest

from genret.models.sizes import SIZES
from genret.models.t5 import T5Config
from genret.training import memory
from genret.training.fitting import MOST_DEVICES, Split, Step
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor
from genret.training.partitioning import MeshShape

STEP = Step(
  config=T5Config(
    vocab_size=64,
    emb_dim=64,
    num_heads=4,
    head_dim=16,
    mlp_dim=128,
    num_encoder_layers=2,
    num_decoder_layers=2,
    docid_vocab_size=4096,
    docid_length=1,
  ),
  optimizer=Adafactor(),
  loss=Loss(),
  batch_size=32,
  input_length=64,
  target_length=4,
)
SPLIT = Split(num_devices=8, mesh=MeshShape())


def peak(split, step=STEP):
  return memory.peak(step.bytes(split))


def around(devices):
  """Lists every split of so many devices that can run."""
  splits = (
    Split(
      num_devices=devices,
      mesh=MeshShape(model=model, fully_sharded=sharded),
      accumulate=accumulate,
      remat=remat,
    )
    for model in range(1, devices + 1)
    for sharded in (False, True)
    for accumulate in range(1, STEP.batch_size + 1)
    for remat in ("none", "dots", "full")
  )
  return [split for split in splits if STEP.problem(split) is None]


def test_what_fits_is_its_own_nearest():
  assert STEP.nearest(SPLIT, peak(SPLIT)) == SPLIT


def test_weights_too_large_are_split_over_the_devices_that_are_there():
  found = STEP.nearest(SPLIT, peak(SPLIT) - 1)
  sharded = dataclasses.replace(SPLIT, mesh=MeshShape(fully_sharded=True))
  assert found == sharded
  assert peak(found) < peak(SPLIT)


def test_a_tight_device_needs_all_there_is():
  least = min(map(peak, around(8)))
  found = STEP.nearest(SPLIT, least)
  assert found.num_devices == 8
  assert peak(found) == least
  assert peak(SPLIT) > 4 * least


def test_too_few_devices_are_doubled():
  alone = dataclasses.replace(SPLIT, num_devices=1)
  least = min(map(peak, around(1)))
  found = STEP.nearest(alone, least - 1)
  assert found.num_devices == 2
  assert peak(found) < least


def test_no_number_of_devices_makes_room_in_nothing():
  assert (
    STEP.nearest(dataclasses.replace(SPLIT, num_devices=MOST_DEVICES), 1)
    is None
  )


def test_accumulation_halves_rows_and_adds_a_set_of_gradients():
  whole = STEP.bytes(SPLIT)
  halves = STEP.bytes(dataclasses.replace(SPLIT, accumulate=2))
  assert whole["gradients of a part"] == 0
  assert halves["gradients of a part"] == halves["gradients"]
  ratio = halves["head at work"] / whole["head at work"]
  assert ratio == pytest.approx(0.5)


def test_rows_that_cannot_be_split_evenly_are_a_problem():
  assert STEP.problem(SPLIT) is None
  wide = dataclasses.replace(SPLIT, num_devices=64)
  assert "32 rows cannot be taken in 1 parts over 64" in STEP.problem(wide)
  odd = dataclasses.replace(SPLIT, mesh=MeshShape(model=3))
  assert "8 devices cannot be split 3 ways" in STEP.problem(odd)


def test_distance_counts_doublings_and_prefers_the_devices_that_are_there():
  def far(**changes):
    return SPLIT.distance(dataclasses.replace(SPLIT, **changes))

  assert far() == (0.0, 8)
  assert far(mesh=MeshShape(model=4)) == (pytest.approx(2.4), 8)
  assert far(mesh=MeshShape(fully_sharded=True)) < far(accumulate=2)
  assert far(accumulate=2) < far(mesh=MeshShape(model=2)) < far(remat="dots")
  assert far(num_devices=16)[0] > far(remat="full", accumulate=4)[0]


def test_the_largest_model_of_all_fits_a_node_somehow():
  config = dataclasses.replace(
    SIZES["xxl"],
    docid_vocab_size=8_841_825,
    docid_length=1,
    dtype="bfloat16",
    scan_layers=True,
  )
  step = dataclasses.replace(
    STEP, config=config, batch_size=512, input_length=128
  )
  capacity = 72 * 10**9
  assert peak(SPLIT, step) > 6 * capacity
  found = step.nearest(SPLIT, capacity)
  assert found.num_devices == 8 and found.mesh.fully_sharded
  assert peak(found, step) <= capacity
