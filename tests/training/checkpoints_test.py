"""Checkpoints come back bit for bit; the newest two and the best are kept."""

import jax
import numpy as np
import pytest

from genret.core.errors import ArtifactError
from genret.training.checkpoints import Checkpoints


@pytest.fixture
def folder(tmp_path, initial):
  """Checkpoints of five steps, of which the second is the best."""
  state = initial
  checkpoints = Checkpoints(tmp_path / "checkpoints", measure="RR@10")
  for step, value in enumerate([0.1, 0.5, 0.3, 0.2, None], start=1):
    checkpoints.save(
      state.replace(step=state.step + step),
      position={"batches": step},
      metrics={} if value is None else {"RR@10": value},
    )
  checkpoints.close()
  return tmp_path / "checkpoints"


def test_keeps_the_newest_two_and_the_best(folder):
  checkpoints = Checkpoints(folder, measure="RR@10")
  assert checkpoints.steps == (2, 4, 5)
  assert checkpoints.best == 2
  assert checkpoints.newest == 5


def test_everything_comes_back_bit_for_bit(folder, initial):
  checkpoints = Checkpoints(folder, measure="RR@10", read_only=True)
  restored = checkpoints.restore(initial, 4)
  assert int(restored.step) == 4
  jax.tree.map(np.testing.assert_array_equal, restored.params, initial.params)
  jax.tree.map(
    np.testing.assert_array_equal, restored.opt_state, initial.opt_state
  )
  assert checkpoints.restore_position(4) == {"batches": 4}


def test_parameters_alone_come_back_as_arrays(folder, initial):
  params = Checkpoints(folder, measure="RR@10").restore_params(2)
  assert isinstance(jax.tree.leaves(params)[0], np.ndarray)
  jax.tree.map(np.testing.assert_array_equal, params, initial.params)


def test_a_missing_step_is_named_with_those_there(folder):
  with pytest.raises(ArtifactError, match="step 3; it has 2, 4, 5"):
    Checkpoints(folder, measure="RR@10").restore_params(3)


@pytest.mark.slow
def test_a_prefix_aware_head_goes_on_bit_for_bit(
  prefix_aware, prefix_aware_batch, tmp_path
):
  """With two passes a step: their masks, too, follow from the step alone."""
  state = prefix_aware.init_state()
  step = prefix_aware.compile_step(state)
  batch = jax.device_put(prefix_aware_batch)
  losses = []
  for _ in range(4):
    if int(state.step) == 2:
      checkpoints = Checkpoints(tmp_path / "checkpoints", measure=None)
      checkpoints.save(state, position={}, metrics={})
      checkpoints.close()
    state, metrics = step(state, batch)
    losses.append(float(metrics.loss))
  assert np.isfinite(losses).all() and losses[3] < losses[0]
  kept = Checkpoints(tmp_path / "checkpoints", measure=None, read_only=True)
  again = kept.restore(prefix_aware.init_state(), 2)
  for _ in range(2):
    again, _ = step(again, batch)
  jax.tree.map(np.testing.assert_array_equal, again, state)


@pytest.mark.slow
def test_what_eight_devices_wrote_one_and_two_processes_read(joined, tmp_path):
  """Factored moments included; and each process reads parameters alone."""
  script, folder = "sharded_checkpoint.py", str(tmp_path / "checkpoints")
  (written,) = joined(script, "write", folder, devices=8)
  (alone,) = joined(script, "read", folder, devices=1)
  pair = joined(script, "read", folder, devices=2, processes=2)
  assert written["split"] == pair[0]["split"] > 0
  assert alone["split"] == 0
  for found in (alone, *pair):
    assert found["state"] == written["state"]
    assert found["params"] == written["params"]
