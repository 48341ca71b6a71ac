"""The loss on held-out text while a T5 is pre-trained, and its curve."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from genret.core import artifacts
from genret.models.t5 import T5
from genret.tasks.text_stream import TextBatches
from genret.training import cluster, losses, partitioning
from genret.training.host_input import HostInput
from genret.training.losses import Loss, LossSums
from genret.training.step import Batch, Program

CURVE = "curve.json"
MEASURE = "log_likelihood"
"""What is best when largest, as checkpoints are chosen; the loss's negative."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
  """The held-out loss over steps, in a file.

  Attributes:
    path: A list of {step, tokens, loss, accuracy}, ascending.
    tokens_a_step: Ids of text that a step reads, before corruption.
  """

  path: Path
  tokens_a_step: int

  def points(self) -> list[dict[str, Any]]:
    """Returns what is written so far."""
    if not self.path.exists():
      return []
    return artifacts.read_json(self.path)

  def add(self, step: int, measures: Mapping[str, float]) -> None:
    """Adds a point.

    Those from this step on, of a run that was killed before it kept the
    state, are written anew.
    """
    point = {
      "step": step,
      "tokens": step * self.tokens_a_step,
      "loss": measures["loss"],
      "accuracy": measures["accuracy"],
    }
    before = [found for found in self.points() if found["step"] < step]
    artifacts.write_json(self.path, [*before, point])


def evaluation(
  program: Program, feed: TextBatches, *, rows: int, curve: Curve
) -> Callable[[Any, int], Mapping[str, float]]:
  """Returns what measures the loss on held-out text.

  The rows and their noise are the same each time, and nothing is dropped out.
  Whole batches are read; a text that does not fill one comes again in it, with
  other noise.

  Args:
    program: Of the run.
    feed: Of the held-out text, this process's rows.
    rows: The most to read, of all processes together.
    curve: Where what is measured is added.

  Returns:
    A function from parameters and step to measures, means a target symbol:
    `log_likelihood` in nats, `loss` its negative, `accuracy` the share that
    is predicted, all teacher-forced.
  """
  a_batch = feed.rows_a_batch
  num_batches = max(min(rows, feed.rows_an_epoch) // a_batch, 1)
  sums = jax.jit(
    _sums_of(program), out_shardings=partitioning.replicated(program.mesh)
  )
  start = feed.state()

  def evaluate(params: Any, step: int) -> dict[str, float]:
    feed.restore(start)
    batches = HostInput(feed, program.mesh)
    found = [sums(params, next(batches)) for _ in range(num_batches)]
    total = jax.tree.map(lambda *parts: sum(map(float, parts)), *found)
    measures = {
      MEASURE: -total.cross_entropy / total.weight,
      "loss": total.cross_entropy / total.weight,
      "accuracy": total.correct / total.weight,
    }
    if cluster.is_first():
      curve.add(step, measures)
    return measures

  return evaluate


def _sums_of(program: Program) -> Callable[[Any, Batch], LossSums]:
  """Returns the loss of a batch with nothing dropped out."""
  config = dataclasses.replace(program.model.config, dropout_rate=0.0)
  model = T5(config)
  loss = Loss(z_loss=0.0, head=program.loss.head)

  def sums(params: Any, batch: Batch) -> LossSums:
    with partitioning.constrained(program.mesh):
      return losses.batch_sums(
        model,
        params,
        batch,
        num_symbols=program.num_symbols,
        loss=loss,
        key=jax.random.key(0),
        mesh=program.mesh,
        rules=program.rules,
      )

  return sums
