"""Schedules by hand, Adafactor by its paper, groups by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.models.t5 import T5Config
from genret.training.optimizers import (
  Adafactor,
  AdamW,
  Schedule,
  of_model,
  scale_groups,
)


@pytest.mark.parametrize(
  ("decay", "steps_and_rates"),
  [
    ("constant", {0: 0.0, 5: 0.5, 10: 1.0, 100: 1.0}),
    ("rsqrt", {5: 0.5, 10: 1.0, 40: 0.5, 90: 1 / 3}),
    ("linear", {5: 0.5, 10: 1.0, 60: 0.5, 110: 0.0}),
    ("cosine", {10: 1.0, 60: 0.5, 110: 0.0}),
  ],
)
def test_schedules_by_hand(decay, steps_and_rates):
  schedule = Schedule(peak=1.0, warmup_steps=10, decay=decay).build(110)
  for step, rate in steps_and_rates.items():
    assert float(schedule(step)) == pytest.approx(rate, abs=1e-6), step


def test_no_warmup_starts_at_the_peak():
  schedule = Schedule(peak=0.3, warmup_steps=0).build(10)
  assert float(schedule(0)) == pytest.approx(0.3)


def test_warmup_must_leave_room_to_decay():
  with pytest.raises(ConfigError, match="warm-up"):
    Schedule(warmup_steps=10, decay="linear").build(10)


def test_unknown_decay_is_named():
  with pytest.raises(ConfigError, match="'square'"):
    Schedule(decay="square").build(10)


def test_adafactor_step_is_relative_to_the_parameter():
  """One step of a constant gradient moves a weight by rate x its size."""
  optimizer = Adafactor(schedule=Schedule(peak=0.1, warmup_steps=0)).build(10)
  params = {"a": jnp.full((4,), 2.0), "b": jnp.full((4,), 1e-9)}
  grads = {"a": jnp.full((4,), 7.0), "b": jnp.full((4,), 7.0)}
  updates, _ = optimizer.update(grads, optimizer.init(params), params)
  np.testing.assert_allclose(updates["a"], -0.1 * 2.0, rtol=1e-4)
  np.testing.assert_allclose(updates["b"], -0.1 * 1e-3, rtol=1e-4)


def test_adamw_clips_the_global_norm():
  schedule = Schedule(peak=0.1, warmup_steps=0)
  params = {"a": jnp.zeros((1,))}
  grads = {"a": jnp.full((1,), 1e-12)}  # far below eps: the step shrinks
  updates, _ = (opt := AdamW(schedule=schedule).build(10)).update(
    grads, opt.init(params), params
  )
  assert abs(float(updates["a"][0])) < 1e-4


def test_groups_scale_the_first_expression_that_is_found():
  groups = scale_groups({"embed": 10.0, "kernel$": 0.5})
  updates = {
    "embedder": {"kernel": jnp.ones(1)},
    "head": {"kernel": jnp.ones(1), "bias": jnp.ones(1)},
  }
  scaled, _ = groups.update(updates, groups.init(updates), updates)
  assert float(scaled["embedder"]["kernel"][0]) == 10.0
  assert float(scaled["head"]["kernel"][0]) == 0.5
  assert float(scaled["head"]["bias"][0]) == 1.0


def test_a_group_that_finds_nothing_is_an_error():
  groups = scale_groups({"embeder": 10.0})
  updates = {"embedder": jnp.ones(1)}
  with pytest.raises(ConfigError, match="embeder"):
    groups.update(updates, groups.init(updates), updates)


def test_what_is_frozen_has_no_moments_and_no_decay(encoded_config):
  """Beside it all goes on as if it were not there."""
  ones = jnp.ones((2, 3))
  trained = {
    "decoder": {"kernel": ones},
    "encoder": {"bert": {"layers_1": {"kernel": ones}}},
  }
  bert = {"layers_0": {"kernel": ones}, **trained["encoder"]["bert"]}
  params = {**trained, "encoder": {"bert": bert}}
  adamw = AdamW(weight_decay=0.1).build(10)
  sparing = of_model(adamw, encoded_config)
  state = sparing.init(params)
  moments = [leaf for leaf in jax.tree.leaves(state) if leaf.shape == (2, 3)]
  assert len(moments) == 2 * 2
  for _ in range(2):  # the first step has a rate of 0
    updates, state = sparing.update(params, state, params)
  assert not np.any(updates["encoder"]["bert"].pop("layers_0")["kernel"])
  expected, other = adamw.update(trained, adamw.init(trained), trained)
  expected, _ = adamw.update(trained, other, trained)
  jax.tree.map(np.testing.assert_array_equal, updates, expected)
  assert of_model(adamw, T5Config()) is adamw
