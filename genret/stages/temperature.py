"""The temperature of a contrastive loss, chosen by dev queries."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from genret.core import artifacts
from genret.training.loop import DivergedError

FILE = "tuning.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
  """What a short run with a temperature came to.

  Attributes:
    measures: On dev queries, by name; none where it diverged.
    cpu_seconds: Process time of its steps, judging aside.
    diverged: Why it has no measures.
  """

  measures: Mapping[str, float]
  cpu_seconds: float
  diverged: str | None = None


def chosen(
  temperatures: Sequence[float],
  attempt: Callable[[float], Trial],
  *,
  measure: str,
  path: Path,
) -> float:
  """Tries each temperature once, and returns the best; of equals the first.

  One whose trial diverges is lost.

  Args:
    temperatures: One or more; a lone one is taken untried.
    attempt: Trains with a temperature for a while, and judges it.
    measure: Larger is better.
    path: JSON that keeps what was tried, for a run that goes on.

  Raises:
    DivergedError: If every trial diverges.
  """
  if len(temperatures) == 1:
    return temperatures[0]
  tried = artifacts.read_json(path) if path.exists() else {}
  for temperature in temperatures:
    if str(temperature) not in tried:
      tried[str(temperature)] = dataclasses.asdict(_tried(temperature, attempt))
      artifacts.write_json(path, tried)
  found = {t: tried[str(t)]["measures"].get(measure) for t in temperatures}
  left = [t for t in temperatures if found[t] is not None]
  if not left:
    raise DivergedError(
      f"Every temperature of {tuple(temperatures)} diverged, the last so:"
      f" {tried[str(temperatures[-1])]['diverged']}"
    )
  best = max(left, key=found.get)
  shown = ", ".join(
    f"{t:g}: " + ("diverged" if value is None else f"{value:.3f}")
    for t, value in found.items()
  )
  print(f"temperature {best:g} of {shown} ({measure} on dev queries)")
  return best


def _tried(temperature: float, attempt: Callable[[float], Trial]) -> Trial:
  started = time.process_time()
  try:
    return attempt(temperature)
  except DivergedError as error:
    print(f"temperature {temperature:g} diverged and is lost: {error}")
    seconds = time.process_time() - started
    return Trial(measures={}, cpu_seconds=seconds, diverged=str(error))
