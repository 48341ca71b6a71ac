"""Optimizers and learning-rate schedules, as settings that can be logged.

Each optimizer is a frozen dataclass: what gin binds is what a manifest shows.
The mathematics is optax's.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import optax

from genret.core.errors import ConfigError
from genret.models.sizes import T5Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
  """A learning rate over steps: linear warm-up, then a decay.

  Attributes:
    peak: The learning rate at the end of the warm-up.
    warmup_steps: Steps from 0 to `peak`, linearly; 0 starts at the peak.
    decay: `constant`; `rsqrt`, peak · sqrt(warmup_steps / step) as in T5's
      pre-training; `linear` or `cosine`, down to `end` at the last step.
    end: The learning rate that `linear` and `cosine` reach.
  """

  peak: float = 1e-3
  warmup_steps: int = 1_000
  decay: Literal["constant", "rsqrt", "linear", "cosine"] = "constant"
  end: float = 0.0

  @property
  def depends_on_length(self) -> bool:
    """Whether the rate at a step changes with the length of the run."""
    return self.decay in ("linear", "cosine")

  def build(self, train_steps: int) -> optax.Schedule:
    """Returns the schedule as a function from step to learning rate.

    Args:
      train_steps: The number of steps in the whole run.

    Raises:
      ConfigError: If the warm-up is longer than the run, where that matters.
    """
    warmup = optax.linear_schedule(0.0, self.peak, self.warmup_steps)
    after = self._after_warmup(train_steps)
    if not self.warmup_steps:
      return after
    return optax.join_schedules([warmup, after], [self.warmup_steps])

  def _after_warmup(self, train_steps: int) -> optax.Schedule:
    if self.decay == "constant":
      return optax.constant_schedule(self.peak)
    if self.decay == "rsqrt":
      start = max(self.warmup_steps, 1)
      return lambda step: self.peak * jnp.sqrt(start / (start + step))
    if self.decay not in ("linear", "cosine"):
      raise ConfigError(
        f"Schedule.decay is {self.decay!r}; expected 'constant', 'rsqrt',"
        " 'linear' or 'cosine'."
      )
    steps = train_steps - self.warmup_steps
    if steps <= 0:
      raise ConfigError(
        f"The warm-up ({self.warmup_steps} steps) leaves nothing of the run"
        f" ({train_steps} steps) to decay over; shorten it or train longer."
      )
    if self.decay == "linear":
      return optax.linear_schedule(self.peak, self.end, steps)
    return optax.cosine_decay_schedule(
      self.peak, steps, alpha=self.end / self.peak
    )


def scale_groups(
  multipliers: Mapping[str, float],
) -> optax.GradientTransformation:
  """Multiplies the updates of groups of parameters.

  Args:
    multipliers: From a regular expression, searched for in a parameter's
      path such as `decoder/logits_dense/kernel`, to a factor. The first
      expression that is found counts; other parameters keep their updates.

  Returns:
    A transformation to chain behind an optimizer.

  Raises:
    ConfigError: When it is first applied, if an expression finds nothing.
  """

  def factor(path: tuple[Any, ...]) -> float:
    name = _path_name(path)
    found = (m for p, m in multipliers.items() if re.search(p, name))
    return next(found, 1.0)

  def update(updates: Any, params: Any = None) -> Any:
    del params
    paths = jax.tree_util.tree_leaves_with_path(updates)
    names = [_path_name(path) for path, _ in paths]
    for pattern in multipliers:
      if not any(re.search(pattern, name) for name in names):
        raise ConfigError(
          f"The learning-rate multiplier {pattern!r} finds no parameter"
          f" that is trained; these are named like {names[0]!r}."
        )
    return jax.tree_util.tree_map_with_path(
      lambda path, leaf: leaf * factor(path), updates
    )

  return optax.stateless(update)


def of_model(
  optimizer: optax.GradientTransformation, config: T5Config
) -> optax.GradientTransformation:
  """Keeps an optimizer from what a model has frozen.

  It then has neither moments of these parameters nor updates, and what it
  does to all alike, weight decay or a multiplier, passes them by.

  Args:
    optimizer: The gradient transformation.
    config: Of the model.
  """
  encoder = config.encoder
  if encoder is None or encoder.frozen_below is None:
    return optimizer

  def labels(params: Any) -> Any:
    return jax.tree_util.tree_map_with_path(
      lambda path, _: (
        "frozen" if encoder.freezes(_path_name(path)) else "trained"
      ),
      params,
    )

  parts = {"trained": optimizer, "frozen": optax.set_to_zero()}
  return optax.partition(parts, labels)


def _path_name(path: tuple[Any, ...]) -> str:
  return "/".join(str(getattr(entry, "key", entry)) for entry in path)


class Optimizer(Protocol):
  """What the training stage asks of an optimizer's settings."""

  schedule: Schedule

  def build(self, train_steps: int) -> optax.GradientTransformation:
    """Returns the gradient transformation for a run of `train_steps`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adafactor:
  """Adafactor (Shazeer & Stern, 2018) as t5x configures it.

  Second moments are factored into rows and columns, updates are clipped to
  unit root mean square a parameter block, and the step is relative: scaled
  by the parameter's own root mean square (at least 1e-3).

  Attributes:
    schedule: The learning rate.
    decay_rate: Exponent of the second moment's decay, 1 - step^-decay_rate.
    clipping_threshold: Largest root mean square of a block's update.
    multiply_by_parameter_scale: Whether steps are relative to parameters.
    min_dim_size_to_factor: Smaller matrices keep a full second moment.
    weight_decay: Decoupled weight decay a step; None for none.
    multipliers: Learning-rate factors of groups, see `scale_groups`.
  """

  schedule: Schedule = Schedule()
  decay_rate: float = 0.8
  clipping_threshold: float | None = 1.0
  multiply_by_parameter_scale: bool = True
  min_dim_size_to_factor: int = 128
  weight_decay: float | None = None
  multipliers: Mapping[str, float] = dataclasses.field(default_factory=dict)

  def build(self, train_steps: int) -> optax.GradientTransformation:
    """Returns the gradient transformation for a run of `train_steps`."""
    adafactor = optax.adafactor(
      self.schedule.build(train_steps),
      min_dim_size_to_factor=self.min_dim_size_to_factor,
      decay_rate=self.decay_rate,
      multiply_by_parameter_scale=self.multiply_by_parameter_scale,
      clipping_threshold=self.clipping_threshold,
      weight_decay_rate=self.weight_decay,
    )
    return optax.chain(adafactor, scale_groups(self.multipliers))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamW:
  """Adam with decoupled weight decay (Loshchilov & Hutter, 2019).

  Attributes:
    schedule: The learning rate.
    b1: Decay of the first moment.
    b2: Decay of the second moment.
    eps: Added to the root of the second moment.
    weight_decay: Decoupled weight decay, times the learning rate.
    clip_norm: Largest global norm of the gradient; None for no clipping.
    multipliers: Learning-rate factors of groups, see `scale_groups`.
  """

  schedule: Schedule = Schedule()
  b1: float = 0.9
  b2: float = 0.999
  eps: float = 1e-8
  weight_decay: float = 0.0
  clip_norm: float | None = 1.0
  multipliers: Mapping[str, float] = dataclasses.field(default_factory=dict)

  def build(self, train_steps: int) -> optax.GradientTransformation:
    """Returns the gradient transformation for a run of `train_steps`."""
    adamw = optax.adamw(
      self.schedule.build(train_steps),
      b1=self.b1,
      b2=self.b2,
      eps=self.eps,
      weight_decay=self.weight_decay,
    )
    groups = scale_groups(self.multipliers)
    if self.clip_norm is None:
      return optax.chain(adamw, groups)
    clip = optax.clip_by_global_norm(self.clip_norm)
    return optax.chain(clip, adamw, groups)
