"""One optimizer step: it learns, counts, and does not depend on the mesh."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from genret.training.step import count_examples

HERE = Path(__file__).parent


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


def test_a_sharded_step_equals_an_unsharded_one(on_eight_devices):
  """Gradients and one SGD step to 1e-5, on 8 virtual devices."""
  report = on_eight_devices(HERE / "sharded_step.py")
  assert report["devices"] == 8
  assert report["split"] > 0  # parameters really are in parts
  assert report["gradients"] < 1e-5
  assert report["parameters"] < 1e-5
