"""One optimizer step: it learns, counts, and does not depend on the mesh."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from genret.models import encoders
from genret.models.t5 import T5
from genret.training.checkpoints import Checkpoints
from genret.training.optimizers import Adafactor, AdamW, Schedule
from genret.training.step import count_examples


def _copy(state):
  return jax.tree.map(jnp.copy, state)


def test_steps_learn_a_batch_by_heart(initial, step, batch):
  state = _copy(initial)
  losses = []
  for _ in range(60):
    state, metrics = step(state, jax.device_put(batch))
    losses.append(float(metrics.loss))
  assert losses[-1] < 0.6 * losses[0]
  assert int(state.step) == 60
  assert float(metrics.examples) == 16


def test_the_same_step_twice_gives_the_same_bits(initial, step, batch):
  once, _ = step(_copy(initial), jax.device_put(batch))
  again, _ = step(_copy(initial), jax.device_put(batch))
  jax.tree.map(np.testing.assert_array_equal, once, again)


def test_padded_batches_count_rows_with_a_target(batch):
  padded = {k: v for k, v in batch.items() if "segment" not in k}
  padded["decoder_loss_weights"] = padded["decoder_loss_weights"].copy()
  padded["decoder_loss_weights"][0] = 0
  assert float(count_examples(padded)) == 7


def test_parts_of_a_batch_add_up_to_it(program, batch):
  """Of rows with unequally many targets: sums are divided, not means."""
  batch = dict(batch)
  batch["decoder_loss_weights"] = batch["decoder_loss_weights"].copy()
  batch["decoder_loss_weights"][:3] = 0
  quiet = dataclasses.replace(program.model.config, dropout_rate=0.0)
  whole = dataclasses.replace(program, model=T5(quiet), optimizer=optax.sgd(1))
  found = []
  for parts in (1, 4):
    split = dataclasses.replace(whole, accumulate=parts)
    state = split.init_state()
    found.append(split.compile_step(state)(state, jax.device_put(batch)))
  (one, metrics), (other, summed) = found
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
    (one.params, metrics),
    (other.params, summed),
  )


def test_the_shapes_of_a_state_are_those_of_the_first(program, initial):
  shapes = program.abstract_state()
  jax.tree.map(
    lambda leaf, shape: np.testing.assert_equal(
      (leaf.shape, leaf.dtype, leaf.sharding),
      (shape.shape, shape.dtype, shape.sharding),
    ),
    initial,
    shapes,
  )


def check(report, num_meshes):
  """Gradients and a step of descent to 1e-5, ten losses to 1e-4 of them.

  Adafactor divides by root mean squares: where a gradient is all but zero,
  rounding decides about the step's sign, so its losses drift apart.
  """
  assert len(report["meshes"]) == num_meshes
  for name, found in report["meshes"].items():
    assert found["gradients"] < 1e-5, name
    assert found["parameters"] < 1e-5, name
    assert found.get("losses", 0) < 1e-4, name


@pytest.mark.slow
def test_steps_on_eight_devices_equal_steps_on_one(joined):
  """Over data, over the model, parameters fully sharded, and all of these."""
  (report,) = joined("sharded_step.py", "8", devices=8)
  check(report, 4)
  whole, split = report["meshes"]["8 data"], report["meshes"]["8 all"]
  assert whole["params"] == whole["moments"] == 1.0
  # 4 x 2 ways, but for norms and biases of positions; moments besides have
  # placeholders of one number.
  assert split["params"] < 0.14
  assert split["moments"] < 0.5


@pytest.mark.slow
def test_steps_on_fewer_devices_equal_steps_on_one(joined):
  (report,) = joined("sharded_step.py", "2,4", devices=4)
  check(report, 7)


@pytest.mark.slow
def test_steps_on_two_processes_equal_steps_on_one(joined):
  reports = joined("sharded_step.py", "4", devices=2, processes=2)
  assert reports[0] == reports[1]
  check(reports[0], 4)


WITH_DECAY = {
  "adamw": AdamW(
    schedule=Schedule(peak=0.05, warmup_steps=0), weight_decay=0.1
  ),
  "adafactor": Adafactor(
    schedule=Schedule(peak=0.05, warmup_steps=0),
    weight_decay=0.1,
    min_dim_size_to_factor=8,
  ),
}


@pytest.mark.parametrize("optimizer", WITH_DECAY)
def test_what_is_frozen_does_not_change(
  optimizer, encoded_program, batch, tmp_path
):
  """Whatever the decay; and such a state comes back from a checkpoint."""
  program = encoded_program(WITH_DECAY[optimizer])
  state = program.init_state()
  before = jax.device_get(state.params)
  step = program.compile_step(state)
  for _ in range(3):
    state, metrics = step(state, jax.device_put(batch))
  assert np.isfinite(metrics.loss)
  after = traverse_util.flatten_dict(jax.device_get(state.params), sep="/")
  # Keys' biases move all scores of a softmax alike, and there is one segment.
  idle = ("key/bias", "segment/embedding")
  for name, first in traverse_util.flatten_dict(before, sep="/").items():
    frozen = program.model.config.encoder.freezes(name)
    if frozen or not name.endswith(idle):
      assert np.array_equal(after[name], first) == frozen, name
  checkpoints = Checkpoints(tmp_path, measure=None)
  checkpoints.save(state, position={}, metrics={})
  checkpoints.wait()
  restored = checkpoints.restore(program.abstract_state(), 3)
  checkpoints.close()
  jax.tree.map(np.testing.assert_array_equal, restored, state)


def test_a_step_with_states_given_is_one_that_computes_them(
  encoded_program, batch
):
  program = encoded_program(WITH_DECAY["adamw"])
  quiet = dataclasses.replace(program, optimizer=optax.sgd(1))
  state = quiet.init_state()
  texts = batch["encoder_input_tokens"].reshape(-1, 4)
  states = encoders.frozen_states(state.params, program.model.config, texts)
  given = {**batch, "encoder_states": states.reshape(8, 8, -1)}
  found = [
    quiet.compile_step(state)(_copy(state), jax.device_put(one))
    for one in (batch, given)
  ]
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *found)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["encoder", "pawa"])
def test_a_sharded_step_of_another_model_is_one_on_one_device(kind, joined):
  """With a sentence encoder, or with a prefix-aware head."""
  (report,) = joined("sharded_models.py", kind, devices=8)
  assert report["gradients"] < 1e-5
  assert report["parameters"] < 1e-5
  assert report["losses"] < 1e-4
  assert report["params"] < 0.2
