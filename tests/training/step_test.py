"""One optimizer step: it learns, counts, and does not depend on the mesh."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from genret.models.t5 import T5
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
