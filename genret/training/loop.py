"""The training loop: batches in, checkpoints, event files and a bar out."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from clu import metric_writers
from tqdm import tqdm

from genret.core import artifacts
from genret.core.errors import ConfigError, UserError
from genret.tasks.feed import Batches
from genret.training import cluster
from genret.training.checkpoints import CPU_SECONDS, Checkpoints
from genret.training.host_input import HostInput
from genret.training.step import Program, StepMetrics, TrainState

Evaluate = Callable[[Any, int], Mapping[str, float]]


class DivergedError(UserError):
  """The loss, or its gradient, stopped being a number."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
  """How long to train and how often to look.

  Attributes:
    train_steps: Optimizer steps in the whole run.
    eval_every: Steps between evaluations by real retrieval; each is followed
      by a checkpoint. The last step is always evaluated.
    checkpoint_every: Steps between checkpoints; None for those of
      `eval_every` alone.
    log_every: Steps between entries of the event file, and between checks
      that the loss is a number.
  """

  train_steps: int
  eval_every: int = 1_000
  checkpoint_every: int | None = None
  log_every: int = 20

  def __post_init__(self):
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if value is not None and value < 1:
        raise ConfigError(f"{field.name} is {value}; expected 1 or more.")

  def evaluates(self, step: int) -> bool:
    """Whether the state after `step` steps is evaluated."""
    return step % self.eval_every == 0 or step == self.train_steps

  def saves(self, step: int) -> bool:
    """Whether the state after `step` steps becomes a checkpoint."""
    every = self.checkpoint_every
    return self.evaluates(step) or bool(every and step % every == 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loop:
  """A run of training that can be killed and started again.

  The event file says how much process time has gone into the run, its
  evaluations included: `cpu_seconds`. A run that goes on from a checkpoint
  counts on from there; what a kill has lost is not counted.

  Attributes:
    program: The step.
    feed: The batches, or this process's rows of them.
    checkpoints: Where states are kept; a newest one there is gone on from.
    config: Lengths and intervals.
    evaluate: From parameters and step to dev measures.
    folder: Where event files go.
    label: What the progress bar is called.
    prepare: From fresh parameters, which it consumes, to those that the first
      step starts from.
    before: Called with the parameters before the first batch is read.
    other_topology: Whether a checkpoint of other shards of the input may be
      gone on from, which is inexact.
  """

  program: Program
  feed: Batches
  checkpoints: Checkpoints
  config: LoopConfig
  evaluate: Evaluate
  folder: Path
  label: str = "train"
  prepare: Callable[[Any], Any] = lambda params: params
  before: Callable[[Any], None] = lambda params: None
  other_topology: bool = False

  def run(self) -> TrainState:
    """Trains to the last step and returns the state there.

    Raises:
      DivergedError: If a loss or a gradient is not finite; names the step
        and the last good checkpoint. No state after such a step is ever saved.
    """
    clock = _Clock(self.folder / CPU_SECONDS)
    batches = HostInput(self.feed, self.program.mesh)
    state = self._start(batches)
    first = int(state.step)
    clock.go_on_from(first)
    if first >= self.config.train_steps:
      return state
    self.before(state.params)
    step_fn = self.program.compile_step(state)
    journal = _Journal(
      writer=self._writer(), checkpoints=self.checkpoints, clock=clock
    )
    with _bar(self.config.train_steps, first, self.label) as bar:
      for step in range(first + 1, self.config.train_steps + 1):
        state, metrics = step_fn(state, next(batches))
        journal.add(step, metrics)
        if step % self.config.log_every == 0 or self.config.saves(step):
          journal.flush(bar)
        if self.config.saves(step):
          position = batches.state()
          measures = self._judge(state, step, journal=journal, bar=bar)
          clock.note(step)
          self.checkpoints.save(state, position=position, metrics=measures)
          journal.restart_clock()
    journal.close()
    self.checkpoints.wait()
    return state

  @property
  def cpu_seconds(self) -> float:
    """Process time that went into the newest checkpoint; 0 without one."""
    return max(_noted(self.folder / CPU_SECONDS).values(), default=0.0)

  def _start(self, batches: HostInput) -> TrainState:
    newest = self.checkpoints.newest
    if newest is None:
      state = self.program.init_state()
      return state.replace(params=self.prepare(state.params))
    batches.restore(
      self.checkpoints.restore_position(newest),
      step=newest,
      other_topology=self.other_topology,
    )
    return self.checkpoints.restore(self.program.abstract_state(), newest)

  def _judge(
    self, state: TrainState, step: int, *, journal: "_Journal", bar: tqdm
  ) -> Mapping[str, float]:
    """Returns the dev measures of a state; none where it is not evaluated."""
    if not self.config.evaluates(step):
      return {}
    measures = self.evaluate(state.params, step)
    journal.measures(step, measures)
    shown = "  ".join(f"{k} {v:.3f}" for k, v in measures.items())
    if cluster.is_first():
      bar.write(f"{self.label}: step {step:,}  dev {shown}")
    return measures

  def _writer(self) -> metric_writers.MetricWriter:
    if cluster.is_first():
      return metric_writers.SummaryWriter(str(self.folder))
    return metric_writers.MultiWriter([])


def _noted(path: Path) -> dict[str, float]:
  """Reads the process time at each checkpoint."""
  return artifacts.read_json(path) if path.exists() else {}


class _Clock:
  """Process time, from the start of a loop on and over its resumptions."""

  def __init__(self, path: Path):
    self._path = path
    self._start = time.process_time()
    self._noted: dict[str, float] = {}

  def go_on_from(self, step: int) -> None:
    """Counts on from what was noted at a step; later notes are void."""
    found = _noted(self._path)
    self._noted = {at: it for at, it in found.items() if int(at) <= step}
    self._start -= max(self._noted.values(), default=0.0)

  @property
  def seconds(self) -> float:
    return time.process_time() - self._start

  def note(self, step: int) -> None:
    """Writes down the time that a state took."""
    self._noted[str(step)] = self.seconds
    if cluster.is_first():
      artifacts.write_json(self._path, self._noted)


class _Journal:
  """Step metrics on their way from the device to the event file."""

  def __init__(
    self,
    *,
    writer: metric_writers.MetricWriter,
    checkpoints: Checkpoints,
    clock: _Clock,
  ):
    self._writer = writer
    self._checkpoints = checkpoints
    self._clock = clock
    self._pending: list[tuple[int, StepMetrics]] = []
    self._since = time.monotonic()

  def add(self, step: int, metrics: StepMetrics) -> None:
    self._pending.append((step, metrics))

  def restart_clock(self) -> None:
    """Leaves the time spent on evaluation out of the examples a second."""
    self._since = time.monotonic()

  def flush(self, bar: tqdm) -> None:
    """Fetches what is pending, checks it, writes its means."""
    if not self._pending:
      return
    steps = [step for step, _ in self._pending]
    rows = jax.device_get([metrics for _, metrics in self._pending])
    self._pending.clear()
    for step, row in zip(steps, rows, strict=True):
      self._check(step, row)
    now = time.monotonic()
    examples = sum(float(row.examples) for row in rows)
    scalars = {
      field.name: float(np.mean([getattr(row, field.name) for row in rows]))
      for field in dataclasses.fields(StepMetrics)
    }
    scalars["examples_per_second"] = examples / max(now - self._since, 1e-9)
    scalars["cpu_seconds"] = self._clock.seconds
    self._since = now
    self._writer.write_scalars(steps[-1], scalars)
    bar.set_postfix_str(
      f"loss {scalars['loss']:.3f}, "
      f"{scalars['examples_per_second']:,.0f} examples/s",
      refresh=False,
    )
    bar.update(len(steps))

  def _check(self, step: int, row: StepMetrics) -> None:
    """Refuses a step whose loss or gradient is not finite.

    The loss is that of the parameters before the step; only the gradient says
    whether the step has spoilt them.
    """
    values = {
      "loss": float(row.loss),
      "gradient's norm": float(row.grad_norm),
    }
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if not bad:
      return
    self._checkpoints.wait()
    good = self._checkpoints.newest
    kept = "none was saved yet" if good is None else f"step {good:,}"
    raise DivergedError(
      f"The {bad[0]} became {values[bad[0]]} at step {step:,}; the last good"
      f" checkpoint: {kept}. Lower the learning rate, warm up longer, or train"
      " in float32."
    )

  def measures(self, step: int, measures: Mapping[str, float]) -> None:
    scalars = {f"dev/{name}": value for name, value in measures.items()}
    self._writer.write_scalars(step, scalars)

  def close(self) -> None:
    self._writer.close()


def _bar(total: int, first: int, label: str) -> tqdm:
  return tqdm(
    total=total,
    initial=first,
    desc=label,
    unit="step",
    dynamic_ncols=True,
    mininterval=1.0,
    disable=not cluster.is_first(),
  )
