"""What a model costs, as a table for people."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

_WAYS = ("counted", "compiled", "formula")


@dataclasses.dataclass(frozen=True)
class Costs:
  """What was found.

  Attributes:
    figures: As `costs.json` holds them.
  """

  figures: Mapping[str, Any]

  def table(self) -> str:
    """Returns the figures as lines."""
    return "\n".join(
      [
        *self._parameters(),
        *self._flops(),
        *self._latency(),
        *self._bytes(),
        *self._training(),
      ]
    )

  def _parameters(self) -> Iterator[str]:
    yield "parameters"
    for name, count in self.figures["parameters"].items():
      if count:
        yield _row(name, f"{count:,}")

  def _flops(self) -> Iterator[str]:
    yield f"{'FLOPs':<26}" + "".join(f"{way:>14}" for way in _WAYS)
    for name in ("step", "query"):
      found = self.figures["operations"][name]
      shown = (_number(found[way]) for way in _WAYS)
      label = {"step": "a training step", "query": "a query"}[name]
      yield f"  {label:<24}" + "".join(f"{text:>14}" for text in shown)
    yield f"  {'training':<24}{_number(self.figures['flops']['training']):>14}"

  def _latency(self) -> Iterator[str]:
    found = self.figures["latency"]
    if found is None:
      return
    search = self.figures["search"]
    yield f"search of {search['k']} documents, {search['num_beams']} beams"
    yield _row("one query, p50", f"{found['p50_ms']:.1f} ms")
    yield _row("one query, p95", f"{found['p95_ms']:.1f} ms")
    label = f"queries a second of {found['batch_size']}"
    yield _row(label, f"{found['queries_per_second']:.1f}")

  def _bytes(self) -> Iterator[str]:
    yield "bytes"
    for name, size in self.figures["bytes"].items():
      yield _row(name, f"{size:,}")

  def _training(self) -> Iterator[str]:
    found = self.figures["training"]
    yield f"training, {found['steps']:,} steps"
    if found["wall_seconds"] is not None:
      yield _row("wall time", f"{found['wall_seconds']:,.0f} s")
      yield _row("device-hours", f"{found['device_hours']:.3f}")
    if found["loop_cpu_seconds"] is not None:
      yield _row("CPU time of the loop", f"{found['loop_cpu_seconds']:,.0f} s")


def _row(name: str, value: str) -> str:
  return f"  {name:<24}{value:>14}"


def _number(value: float | None) -> str:
  return "-" if value is None else f"{value:.3e}"
