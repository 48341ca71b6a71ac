"""What a short run says of a long one: costs of its parts, examples a step."""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genret.core import chatter

LOOKS_EVERY = 2  # entries of the event file
ENTRIES = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
  """CPU-seconds of the parts of a run.

  Attributes:
    start: Before the first step and after the last: imports, texts, states of
      frozen layers, compiling.
    step: One step.
    first_look: At dev, with what has to be compiled for it.
    look: Each later one, with its checkpoint.
  """

  start: float
  step: float
  first_look: float
  look: float

  @classmethod
  def of(
    cls, entries: Mapping[int, float], *, span: int, whole: float
  ) -> "Cost":
    """Takes a calibration run apart.

    A look comes after every second entry of the event file. Steps of ten
    seconds, looks of 7 and 5, and one more at the end:

    >>> entries = {10: 25, 20: 35, 30: 52, 40: 62, 50: 77, 60: 87}
    >>> Cost.of(entries, span=10, whole=100)
    Cost(start=23.0, step=1.0, first_look=7.0, look=5.0)

    Args:
      entries: Step to the CPU-seconds of the loop until then.
      span: Steps between two of them.
      whole: CPU-seconds of the whole process.
    """
    steps = sorted(entries)
    gaps = [entries[b] - entries[a] for a, b in itertools.pairwise(steps)]
    step = statistics.median(gaps[::2]) / span
    looks = [max(gap - span * step, 0.0) for gap in gaps[1::2]]
    rest = whole - len(steps) * span * step - sum(looks) - looks[-1]
    return cls(
      start=max(rest, 0.0), step=step, first_look=looks[0], look=looks[-1]
    )

  def steps(self, minutes: float, *, looks: int) -> int:
    """Returns how many steps fit in CPU-minutes, all else included."""
    return int((60 * minutes - self._rest(looks)) / self.step)

  def minutes(self, steps: int, *, looks: int) -> float:
    """Returns the CPU-minutes of so many steps, all else included."""
    return (self._rest(looks) + steps * self.step) / 60

  def _rest(self, looks: int) -> float:
    return self.start + self.first_look + (looks - 1) * self.look


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
  """What a short run has shown.

  Attributes:
    cost: Of its parts.
    examples_a_step: Examples that a batch holds, in the mean.
    documents: Of the collection.
  """

  cost: Cost
  examples_a_step: float
  documents: int

  @classmethod
  def read(cls, record: Mapping[str, Any]) -> "Calibration":
    """Reads what `dataclasses.asdict` gave."""
    return cls(
      cost=Cost(**record["cost"]),
      examples_a_step=record["examples_a_step"],
      documents=record["documents"],
    )

  def exposures(self, steps: int) -> float:
    """Returns how many examples of a document so many steps read."""
    return steps * self.examples_a_step / self.documents

  def steps(
    self, *, exposures: float, minutes: float | None, looks: int
  ) -> int:
    """Returns how long a budget lets a model train.

    >>> known = Calibration(
    ...   cost=Cost(start=40.0, step=0.7, first_look=20.0, look=6.0),
    ...   examples_a_step=128.0, documents=2000)
    >>> known.steps(exposures=64.0, minutes=None, looks=10)
    1000
    >>> known.steps(exposures=64.0, minutes=10.0, looks=10)
    694

    Args:
      exposures: Examples of a document, in the mean.
      minutes: CPU-minutes, which then decide; None for exposures.
      looks: At dev.
    """
    if minutes is not None:
      return self.cost.steps(minutes, looks=looks)
    return math.ceil(exposures * self.documents / self.examples_a_step)


def scalars(folder: Path) -> dict[str, dict[int, float]]:
  """Reads the event files of a model folder: tag -> step -> value."""
  with chatter.without(chatter.TENSORFLOW):  # which comes along
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    events = event_accumulator.EventAccumulator(
      str(folder), size_guidance={"tensors": 0}
    )
    events.Reload()
  return {
    tag: {
      event.step: float(tensor_util.make_ndarray(event.tensor_proto))
      for event in events.Tensors(tag)
    }
    for tag in events.Tags()["tensors"]
  }
