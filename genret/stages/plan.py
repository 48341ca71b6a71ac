"""The planning stage: a run's settings in, what it needs of a machine out.

Nothing is allocated: shapes are counted, programs are traced, and a narrow
twin of the step is compiled for as many virtual devices.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from genret.core import artifacts
from genret.core.errors import ConfigError
from genret.models import shapes
from genret.models.query_flops import query_flops
from genret.models.t5 import T5Config
from genret.retrieval import memory as retrieval_memory
from genret.retrieval.memory import DocidShape
from genret.stages.plan_report import Plan, SearchPlan, StepPlan
from genret.training import abstract_step, memory, virtual
from genret.training.fitting import Split, Step
from genret.training.losses import Loss
from genret.training.memory import Weights
from genret.training.optimizers import Adafactor, AdamW
from genret.training.partitioning import MeshShape

GIGABYTE = 10**9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
  """What there is to run on.

  Attributes:
    devices: Accelerators of all hosts.
    device_memory: Of each, in GB of 10^9 bytes, as makers count.
    reserve: Share of it that is left to the runtime and to what the formulas
      leave out.
  """

  devices: int = 8
  device_memory: float = 80.0
  reserve: float = 0.1

  def __post_init__(self):
    if self.devices < 1 or self.device_memory <= 0:
      raise ConfigError(
        f"{self.devices} devices of {self.device_memory} GB; expected one or"
        " more, of more than 0 GB."
      )
    if not 0 <= self.reserve < 1:
      raise ConfigError(
        f"Machine.reserve is {self.reserve}; expected a share from 0 to below"
        " 1."
      )

  @property
  def usable(self) -> int:
    """Bytes of a device that arrays may take."""
    return int(self.device_memory * GIGABYTE * (1 - self.reserve))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Searching:
  """How queries are searched.

  Attributes:
    input_length: Tokens of a query.
    num_beams: Docids kept a step.
    batch_size: Queries that a copy of the model searches together.
  """

  input_length: int = 64
  num_beams: int = 40
  batch_size: int = 64

  def __post_init__(self):
    if min(self.input_length, self.num_beams, self.batch_size) < 1:
      raise ConfigError(
        f"{self.batch_size} queries of {self.input_length} tokens and"
        f" {self.num_beams} beams; each must be 1 or more."
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlanConfig:
  """The run that is planned, in the words of `genret train`.

  Attributes:
    model: The T5's shape; its docid vocabulary comes from `docids`.
    docids: How many documents, and what their docids are like.
    machine: What there is to run on.
    task_feature_lengths: Longest `inputs` and `targets` in a row of a batch.
    batch_size: Rows a step, on all devices.
    optimizer: Adafactor or AdamW and their settings.
    loss: How the head is computed.
    mesh: How the work is split over devices.
    accumulate: Parts that a batch is taken in.
    searching: How queries are searched.
    evaluated: Whether states are judged by such searches while it trains.
    virtual: Whether the sharded step is compiled for virtual devices too.
  """

  model: T5Config
  docids: DocidShape
  machine: Machine
  task_feature_lengths: Mapping[Literal["inputs", "targets"], int]
  batch_size: int = 128
  optimizer: Adafactor | AdamW = Adafactor()
  loss: Loss = Loss()
  mesh: MeshShape = MeshShape()
  accumulate: int = 1
  searching: Searching = Searching()
  evaluated: bool = True
  virtual: bool = True

  def __post_init__(self):
    if self.model.encoder is not None:
      raise ConfigError(
        "genret plan counts the activations of T5's own encoder, and this"
        " model has a sentence encoder in its place. Leave T5Config.encoder"
        " away to plan the decoder and the head."
      )
    lengths = self.task_feature_lengths
    if set(lengths) != {"inputs", "targets"}:
      raise ConfigError(
        f"task_feature_lengths has {', '.join(sorted(lengths)) or 'nothing'};"
        " expected inputs and targets."
      )
    if min(self.batch_size, *lengths.values()) < 1:
      raise ConfigError(
        f"{self.batch_size} rows of {lengths['inputs']} inputs and"
        f" {lengths['targets']} targets; each must be 1 or more."
      )

  @property
  def step(self) -> Step:
    """The training step."""
    judging = functools.partial(_evaluation_bytes, self)
    return Step(
      config=self.docids.model(self.model),
      optimizer=self.optimizer,
      loss=self.loss,
      batch_size=self.batch_size,
      input_length=self.task_feature_lengths["inputs"],
      target_length=self.task_feature_lengths["targets"],
      evaluation=judging if self.evaluated else None,
    )

  @property
  def split(self) -> Split:
    """How the step is split."""
    return Split(
      num_devices=self.machine.devices,
      mesh=self.mesh,
      accumulate=self.accumulate,
      remat=self.model.remat,
    )


def run(config: PlanConfig, *, out: Path | None = None) -> Plan:
  """Plans the training step and the retrieval step.

  Args:
    config: The run and the machine.
    out: A JSON file for the figures; None for none.

  Returns:
    The plan; `table()` is for people.

  Raises:
    ConfigError: If the mesh does not divide the devices or the batch, or the
      sharded step does not compile.
  """
  step, split = config.step, config.split
  if (problem := step.problem(split)) is not None:
    raise ConfigError(f"{problem[0].upper()}{problem[1:]}.")
  stages: dict[str, Callable[[], Any]] = {
    "parameters": lambda: shapes.count_by_part(step.variables["params"]),
    "training step": lambda: _plan_step(config, step, split),
    "retrieval step": lambda: _plan_search(config, step),
  }
  done = {}
  with futures.ThreadPoolExecutor(1) as aside:
    if config.virtual:  # A process of its own; the counting goes on beside it.
      compiling = aside.submit(virtual.compile_virtually, step, split)
      stages["virtual devices"] = compiling.result
    with tqdm(total=len(stages), desc="plan", delay=2) as bar:
      for name, work in stages.items():
        bar.set_postfix_str(name)
        done[name] = work()
        bar.update()
  plan = Plan(
    parameters=done["parameters"],
    docids=config.docids,
    capacity=config.machine.usable,
    step=done["training step"],
    search=done["retrieval step"],
    compiled=done.get("virtual devices"),
  )
  if out is not None:
    artifacts.write_json(out, plan.figures())
  return plan


def _plan_step(config: PlanConfig, step: Step, split: Split) -> StepPlan:
  capacity = config.machine.usable
  nearest = step.nearest(split, capacity)
  flops = abstract_step.step_flops(step, split)
  again = 0
  if split.remat != "none":
    # Scanned layers cost the same, and are traced once.
    scanned = dataclasses.replace(step.config, scan_layers=True)
    again = flops - abstract_step.step_flops(
      dataclasses.replace(step, config=scanned),
      dataclasses.replace(split, remat="none"),
    )
  return StepPlan(
    split=split,
    step=step,
    bytes=step.bytes(split),
    flops=flops,
    flops_again=again,
    nearest=nearest,
    nearest_bytes=step.bytes(nearest) if nearest else None,
  )


def _plan_search(config: PlanConfig, step: Step) -> SearchPlan:
  """Plans a search over the training mesh's model axis, or the nearest one."""
  devices, wanted = config.machine.devices, config.mesh.model
  divisors = [n for n in range(1, devices + 1) if devices % n == 0]
  near = sorted(divisors, key=lambda n: (n < wanted, abs(n - wanted)))
  fitting = (
    ways
    for ways in near
    if retrieval_memory.peak(_search_bytes(config, step, ways))
    <= config.machine.usable
  )
  nearest = next(fitting, None)
  return SearchPlan(
    ways=wanted,
    batch_size=config.searching.batch_size,
    num_beams=config.searching.num_beams,
    input_length=config.searching.input_length,
    bytes=_search_bytes(config, step, wanted),
    flops=query_flops(
      step.config,
      input_length=config.searching.input_length,
      num_beams=config.searching.num_beams,
    ),
    nearest=nearest,
    nearest_bytes=_search_bytes(config, step, nearest) if nearest else None,
  )


def _search_bytes(config: PlanConfig, step: Step, ways: int) -> dict[str, int]:
  """Counts what a device of a search holds; see `retrieval/on_mesh.py`.

  On one device all kernels are copied into fewer, larger ones; on several the
  head alone is turned, and of atomic docids the decoder's layers are read
  whole.
  """
  mesh = MeshShape(model=ways)
  sizes = mesh.sizes(ways)
  params = step.variables["params"]
  weights = Weights(variables=step.variables, sizes=sizes, mesh=mesh)
  held = memory.shard_bytes(params, weights.specs, sizes)
  counts = shapes.count_by_part(params)
  head_ways = ways if step.config.head_width % ways == 0 else 1
  together = ways > 1 and config.docids.length == 1
  return {
    "weights": held,
    "docids": retrieval_memory.trie_bytes(
      config.docids, step.config.num_symbols
    ),
    retrieval_memory.LOADING: (
      held if ways == 1 else memory.FLOAT32 * counts["head"] // head_ways
    ),
    "decoder put together": memory.FLOAT32 * counts["decoder"] * together,
    **retrieval_memory.search_bytes(
      step.config,
      queries=config.searching.batch_size,
      input_length=config.searching.input_length,
      num_beams=config.searching.num_beams,
      ways=ways,
    ),
  }


def _evaluation_bytes(config: PlanConfig, split: Split) -> int:
  """Counts what judging takes on a device besides weights and optimizer.

  The copy that is searched (see `_search_bytes`), the docids, and the search.
  The head's rows lie as `on_mesh.create_stepper` lays them.
  """
  model = config.docids.model(config.model)
  counts = _counts(model)
  sizes, atomic = split.sizes, config.docids.length == 1
  if split.num_devices == 1:
    copied = sum(counts.values())
  else:
    over_data = atomic and sizes["model"] == 1
    ways = sizes["data" if over_data else "model"]
    even = atomic or model.head_width % ways == 0
    copied = -(-counts["head"] // ways) if even else counts["head"]
    copied += counts["decoder"] * atomic
  searching = retrieval_memory.search_bytes(
    model,
    queries=config.searching.batch_size,
    input_length=config.searching.input_length,
    num_beams=config.searching.num_beams,
    ways=sizes["model"],
  )
  docids = retrieval_memory.trie_bytes(config.docids, model.num_symbols)
  return memory.FLOAT32 * copied + docids + sum(searching.values())


@functools.cache
def _counts(model: T5Config) -> Mapping[str, int]:
  return shapes.count_by_part(shapes.abstract(model)["params"])
