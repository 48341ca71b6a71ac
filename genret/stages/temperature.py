"""The temperature of a contrastive loss, chosen by dev queries."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from genret.core import artifacts

FILE = "tuning.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
  """What a short run with a temperature came to.

  Attributes:
    measures: On dev queries, by name.
    cpu_seconds: Process time of its steps, judging aside.
  """

  measures: Mapping[str, float]
  cpu_seconds: float


def chosen(
  temperatures: Sequence[float],
  attempt: Callable[[float], Trial],
  *,
  measure: str,
  path: Path,
) -> float:
  """Tries each temperature once, and returns the best; of equals the first.

  Args:
    temperatures: One or more; a lone one is taken untried.
    attempt: Trains with a temperature for a while, and judges it.
    measure: Larger is better.
    path: JSON that keeps what was tried, for a run that goes on.
  """
  if len(temperatures) == 1:
    return temperatures[0]
  tried = json.loads(path.read_text("utf-8")) if path.exists() else {}
  for temperature in temperatures:
    if str(temperature) not in tried:
      tried[str(temperature)] = dataclasses.asdict(attempt(temperature))
      artifacts.write_json(path, tried)
  best = max(temperatures, key=lambda t: tried[str(t)]["measures"][measure])
  found = ", ".join(
    f"{t:g}: {tried[str(t)]['measures'][measure]:.3f}" for t in temperatures
  )
  print(f"temperature {best:g} of {found} ({measure} on dev queries)")
  return best
