"""What every benchmark prints: a table, then one line of JSON."""

import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import jax


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
  """One figure beside its target.

  Attributes:
    name: What was measured.
    figure: The value; None where it could not be measured.
    unit: Of the figure.
    target: The bound, such as `>= 1.5`; empty where there is none.
    holds: Whether the bound is kept; None without a bound or a figure.
    note: Why there is no figure, or what else must be known.
  """

  name: str
  figure: float | None
  unit: str
  target: str = ""
  holds: bool | None = None
  note: str = ""


def at_least(name: str, figure: float, bound: float, *, unit: str) -> Check:
  """Returns a check that a figure reaches a bound."""
  return Check(
    name=name,
    figure=figure,
    unit=unit,
    target=f">= {bound:g}",
    holds=figure >= bound,
  )


def at_most(name: str, figure: float, bound: float, *, unit: str) -> Check:
  """Returns a check that a figure stays within a bound."""
  return Check(
    name=name,
    figure=figure,
    unit=unit,
    target=f"<= {bound:g}",
    holds=figure <= bound,
  )


def missing(name: str, *, reason: str) -> Check:
  """Returns a check that could not be made, and why."""
  return Check(name=name, figure=None, unit="", note=reason)


def median_seconds(call: Callable[[], object], *, repeats: int) -> float:
  """Returns the median wall time of a call, after one that warms it up."""
  call()
  times = []
  for _ in range(repeats):
    start = time.perf_counter()
    call()
    times.append(time.perf_counter() - start)
  return statistics.median(times)


def medians(
  calls: Mapping[str, Callable[[], object]],
  *,
  repeats: int,
  limit: float = math.inf,
) -> dict[str, float]:
  """Returns median wall times of calls that take turns, all warmed up.

  Args:
    calls: By name. What they return is waited for.
    repeats: Rounds.
    limit: Seconds after which six rounds are enough.
  """
  times: dict[str, list[float]] = {name: [] for name in calls}
  for call in calls.values():
    jax.block_until_ready(call())
  deadline = time.perf_counter() + limit
  for turn in range(repeats):
    if turn >= 6 and time.perf_counter() > deadline:
      break
    for name, call in calls.items():
      start = time.perf_counter()
      jax.block_until_ready(call())
      times[name].append(time.perf_counter() - start)
  return {name: statistics.median(taken) for name, taken in times.items()}


def finish(checks: Sequence[Check], *, packages: Sequence[str]) -> None:
  """Prints the checks as a table and, as the last line, as JSON."""
  width = max(len(check.name) for check in checks)
  for check in checks:
    figure = "-" if check.figure is None else f"{check.figure:,.3f}"
    holds = {True: "holds", False: "MISSED", None: ""}[check.holds]
    print(
      f"{check.name:{width}}  {figure:>12} {check.unit:14}"
      f" {check.target:8} {holds} {check.note}".rstrip()
    )
  report = {
    "machine": _machine(),
    "versions": _versions(packages),
    "checks": [dataclasses.asdict(check) for check in checks],
  }
  print(json.dumps(report))


def _machine() -> dict[str, object]:
  with open("/proc/cpuinfo", encoding="utf-8") as file:
    models = [line for line in file if line.startswith("model name")]
  return {
    "cpu": models[0].split(":", 1)[1].strip() if models else "unknown",
    "cores": len(os.sched_getaffinity(0)),
    "system": platform.platform(),
  }


def _versions(packages: Sequence[str]) -> dict[str, str]:
  versions = {"python": platform.python_version()}
  for package in packages:
    try:
      versions[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      versions[package] = "not installed"
  return versions
