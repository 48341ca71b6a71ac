"""What a plan found: figures for machines, and a table for people."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from genret.retrieval import memory as retrieval_memory
from genret.retrieval.memory import DocidShape
from genret.training import memory
from genret.training.fitting import Split, Step
from genret.training.virtual import Compiled

# What is not held while the rest is.
_NOT_WITH_REST = {
  memory.UPDATE: "when activations are gone",
  memory.EVALUATION: "when gradients are gone",
  retrieval_memory.LOADING: "before searching",
}
_PREFIXES = ("", "k", "M", "G", "T", "P", "E")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepPlan:
  """What a training step needs.

  Attributes:
    split: As wanted.
    step: What is trained.
    bytes: Of a device, by what they hold.
    flops: Of a step, on all devices together.
    flops_again: Those of them that remat makes again.
    nearest: The nearest split that fits; the wanted one where it does.
    nearest_bytes: Its bytes.
  """

  split: Split
  step: Step
  bytes: Mapping[str, int]
  flops: int
  flops_again: int
  nearest: Split | None
  nearest_bytes: Mapping[str, int] | None

  @property
  def peak(self) -> int:
    """Bytes of a device at their most."""
    return memory.peak(self.bytes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchPlan:
  """What searching queries needs.

  Attributes:
    ways: Devices that share one copy of the model, as wanted.
    batch_size: Queries that they search together.
    num_beams: Docids kept a step.
    input_length: Tokens of a query.
    bytes: Of a device, by what they hold.
    flops: Of a query, by part of the model.
    nearest: The nearest number of ways that fits.
    nearest_bytes: Its bytes.
  """

  ways: int
  batch_size: int
  num_beams: int
  input_length: int
  bytes: Mapping[str, int]
  flops: Mapping[str, int]
  nearest: int | None
  nearest_bytes: Mapping[str, int] | None

  @property
  def peak(self) -> int:
    """Bytes of a device at their most."""
    return retrieval_memory.peak(self.bytes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
  """What a run needs of a machine.

  Attributes:
    parameters: Counts by part of the model.
    docids: How many documents, and what their docids are like.
    capacity: Usable bytes of a device.
    step: The training step.
    search: The retrieval step.
    compiled: What the compiler made of the step's twin; None if not asked.
  """

  parameters: Mapping[str, int]
  docids: DocidShape
  capacity: int
  step: StepPlan
  search: SearchPlan
  compiled: Compiled | None

  def figures(self) -> dict[str, Any]:
    """Returns what the JSON file holds: bytes, counts and operations."""
    step, search = self.step, self.search
    nearest = step.nearest and dataclasses.asdict(step.nearest)
    return {
      "parameters": {**self.parameters, "all": sum(self.parameters.values())},
      "docids": dataclasses.asdict(self.docids),
      "usable_bytes_per_device": self.capacity,
      "training": {
        "split": dataclasses.asdict(step.split),
        "bytes_per_device": {**step.bytes, "peak": step.peak},
        "fits": step.peak <= self.capacity,
        "flops_per_step": step.flops,
        "flops_made_again": step.flops_again,
        "nearest_that_fits": nearest,
        "nearest_bytes_per_device": step.nearest_bytes,
      },
      "retrieval": {
        "model_axis": search.ways,
        "bytes_per_device": {**search.bytes, "peak": search.peak},
        "fits": search.peak <= self.capacity,
        "flops_per_query": {**search.flops, "all": sum(search.flops.values())},
        "nearest_model_axis_that_fits": search.nearest,
        "nearest_bytes_per_device": search.nearest_bytes,
      },
      "virtual_devices": self.compiled and dataclasses.asdict(self.compiled),
    }

  def table(self) -> str:
    """Returns the figures as a table for people, and what to do."""
    return "\n".join(
      [
        *self._about_parameters(),
        "",
        *self._about_training(),
        "",
        *self._about_retrieval(),
        "",
        *self._about_compiling(),
        *self._advice(),
      ]
    )

  def _about_parameters(self) -> Iterator[str]:
    total = sum(self.parameters.values())
    kind = f"{self.docids.num_documents:,} docids of {self.docids.length}"
    own = self.docids.symbols
    symbols = "in T5's text vocabulary" if own is None else f"out of {own:,}"
    yield f"parameters ({kind} symbols {symbols})"
    counts = {k: n for k, n in self.parameters.items() if n} | {"all": total}
    for name, count in counts.items():
      yield _row(name, f"{count:,}", _scaled(count, "").replace("G", "B"))

  def _about_training(self) -> Iterator[str]:
    plan, step = self.step, self.step.step
    config = step.config
    rows = (
      f"{step.batch_size} rows of {step.input_length} + {step.target_length}"
    )
    yield (
      f"training step: {_mesh(plan.split)}; {rows} tokens, {config.dtype},"
      f" remat {plan.split.remat},"
      f" layers {'scanned' if config.scan_layers else 'one by one'}"
    )
    yield from _memory(plan.bytes, plan.peak, self.capacity)
    yield _row("FLOPs a step", "", _scaled(plan.flops, "FLOP"))
    if plan.flops_again:
      yield _row("of these again", "", _scaled(plan.flops_again, "FLOP"))
    share = plan.flops / plan.split.num_devices
    yield _row("a device", "", _scaled(share, "FLOP"))

  def _about_retrieval(self) -> Iterator[str]:
    plan = self.search
    yield (
      f"retrieval step: {plan.ways} devices a copy of the model;"
      f" {plan.batch_size} queries of {plan.input_length} tokens,"
      f" {plan.num_beams} beams"
    )
    yield from _memory(plan.bytes, plan.peak, self.capacity)
    for name, count in plan.flops.items():
      yield _row(f"FLOPs a query, {name}", "", _scaled(count, "FLOP"))
    total = sum(plan.flops.values())
    yield _row("FLOPs a query", "", _scaled(total, "FLOP"))

  def _about_compiling(self) -> Iterator[str]:
    found = self.compiled
    if found is None:
      return
    sizes = " x ".join(f"{n} {axis}" for axis, n in found.sizes.items())
    same = found.given_bytes == found.counted_bytes
    yield (
      f"a narrow twin of the step compiles for {sizes} virtual devices in"
      f" {found.seconds:.0f} s: {found.split} of {found.arrays} arrays are"
      f" split; XLA gives each device {found.given_bytes:,} bytes of state and"
      f" batch, {'as' if same else 'and not as'} counted"
      f" ({found.counted_bytes:,})"
    )
    yield ""

  def _advice(self) -> Iterator[str]:
    step, search = self.step, self.search
    if step.nearest is None:
      yield "training fits on no number of such devices: take larger ones"
    elif step.nearest == step.split:
      yield "training fits"
    else:
      peak = memory.peak(step.nearest_bytes)
      yield (
        f"training does not fit; the nearest that does: {_mesh(step.nearest)}"
        f" ({_bytes(peak)} a device)"
      )
      yield f"  {' '.join(flags(step.split, step.nearest))}"
    if search.nearest is None:
      yield (
        "retrieval fits on no share of these devices: search fewer queries"
        f" together (--queries below {search.batch_size}), or take more"
        " devices"
      )
    elif search.nearest == search.ways:
      yield "retrieval fits"
    else:
      yield (
        f"retrieval does not fit; the nearest that does: {search.nearest}"
        f" devices a copy of the model"
        f" ({_bytes(retrieval_memory.peak(search.nearest_bytes))} a device)"
      )


def flags(wanted: Split, found: Split) -> list[str]:
  """Returns the flags that lead from one split to another."""
  settings = {
    "devices": lambda split: split.num_devices,
    "model_parallel": lambda split: split.mesh.model,
    "fully_sharded": lambda split: split.mesh.fully_sharded,
    "accumulate": lambda split: split.accumulate,
    "remat": lambda split: split.remat,
  }
  return [
    f"--{name}={of(found)}"
    for name, of in settings.items()
    if of(found) != of(wanted)
  ]


def _mesh(split: Split) -> str:
  sizes = split.sizes
  sharded = ", fully sharded" if split.mesh.fully_sharded else ""
  parts = f", in {split.accumulate} parts" if split.accumulate > 1 else ""
  again = f", remat {split.remat}" if split.remat != "none" else ""
  return (
    f"{split.num_devices} devices = {sizes['data']} data x"
    f" {sizes['model']} model{sharded}{parts}{again}"
  )


def _memory(
  parts: Mapping[str, int], peak: int, capacity: int
) -> Iterator[str]:
  for name, size in parts.items():
    if size:
      yield _row(name, "", _bytes(size), _NOT_WITH_REST.get(name, ""))
  fits = "fits" if peak <= capacity else "does not fit"
  yield _row("at most", "", f"{_bytes(peak)} a device", fits)
  yield _row("usable", "", f"{_bytes(capacity)} a device")


def _row(name: str, *columns: str) -> str:
  exact, scaled, *note = columns
  return f"  {name:<24}{exact:>16}  {scaled:>12}  {' '.join(note)}".rstrip()


def _bytes(size: float) -> str:
  """Writes bytes with three digits, in powers of a thousand.

  >>> _bytes(17_900_000_000), _bytes(999)
  ('17.9 GB', '999 B')
  """
  return _scaled(size, "B")


def _scaled(count: float, unit: str) -> str:
  power = 0
  while count >= 999.5 and power < len(_PREFIXES) - 1:
    count /= 1000
    power += 1
  digits = f"{count:.3g}"
  return f"{digits} {_PREFIXES[power]}{unit}".rstrip()
