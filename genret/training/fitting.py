"""Which mesh a training step fits on, and the nearest that it does."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from genret.core.errors import ConfigError
from genret.models import shapes
from genret.models.sizes import REMAT, T5Config
from genret.training import memory
from genret.training.losses import Loss
from genret.training.memory import Rows, Weights
from genret.training.optimizers import Optimizer, of_model
from genret.training.partitioning import MeshShape

# From what keeps all of a layer to what keeps its input alone.
_REMAT: tuple[REMAT, ...] = ("none", "dots", "full")
MOST_DEVICES = 1 << 12
LONG = 1 << 30  # steps of a run; what a step costs does not depend on it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
  """How a step is spread over devices and over time; none changes its result.

  Attributes:
    num_devices: Devices of all processes.
    mesh: Ways over the model axis, and whether weights are fully sharded.
    accumulate: Parts that a batch is taken in, one after another.
    remat: What a layer keeps for the backward pass.
  """

  num_devices: int
  mesh: MeshShape
  accumulate: int = 1
  remat: REMAT = "none"

  def __post_init__(self):
    if self.accumulate < 1:
      raise ConfigError(
        f"a batch taken in {self.accumulate} parts; expected 1 or more."
      )

  @property
  def sizes(self) -> dict[str, int]:
    """Mesh axis -> devices along it."""
    return self.mesh.sizes(self.num_devices)

  def distance(self, other: "Split") -> tuple[float, int]:
    """Says how far another split is: doublings and switches, then speed.

    Splitting weights over devices that are there costs less than reading a
    batch in parts, and that less than doubling the model axis or making
    activations again, so of equally near splits the earlier kind comes first.
    """
    model = abs(math.log2(self.mesh.model / other.mesh.model))
    parts = abs(math.log2(self.accumulate / other.accumulate))
    again = abs(_REMAT.index(self.remat) - _REMAT.index(other.remat))
    sharded = self.mesh.fully_sharded != other.mesh.fully_sharded
    devices = abs(math.log2(self.num_devices / other.num_devices))
    return (
      1.0 * sharded + 1.1 * parts + 1.2 * model + 1.3 * again + 9 * devices,
      other.num_devices,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
  """A training step, as far as its memory goes.

  Attributes:
    config: Of the model; its `remat` is replaced by the split's.
    optimizer: Settings of the optimizer.
    loss: How the head is computed.
    batch_size: Rows a step, on all devices.
    input_length: Of a row.
    target_length: Of a row.
    evaluation: Bytes a device that judging a state takes besides weights and
      optimizer, under a split; None where no state is judged.
  """

  config: T5Config
  optimizer: Optimizer
  loss: Loss
  batch_size: int
  input_length: int
  target_length: int
  evaluation: Callable[[Split], int] | None = None

  @property
  def features(self) -> dict[str, tuple[int, int]]:
    """Shapes of the model features of a packed batch, by name."""
    lengths = {"encoder": self.input_length, "decoder": self.target_length}
    names = [f"{side}_segment_ids" for side in lengths]
    names += ["encoder_input_tokens", "decoder_input_tokens"]
    names += ["decoder_target_tokens", "decoder_loss_weights"]
    return {
      name: (self.batch_size, lengths[name.split("_")[0]]) for name in names
    }

  def problem(self, split: Split) -> str | None:
    """Says why a split cannot run whatever the memory; None where it can."""
    try:
      ways = split.sizes["data"] * split.accumulate
    except ConfigError as error:
      return str(error).removesuffix(".")
    if self.batch_size % ways:
      return (
        f"a batch of {self.batch_size} rows cannot be taken in"
        f" {split.accumulate} parts over {split.sizes['data']} devices of the"
        " data axis evenly"
      )
    return None

  def bytes(self, split: Split) -> dict[str, int]:
    """Returns the bytes a device by what they hold; see `memory.peak`."""
    ways = split.sizes["data"] * split.accumulate
    config = dataclasses.replace(self.config, remat=split.remat)
    rows = Rows(
      count=-(-self.batch_size // ways),
      input_length=self.input_length,
      target_length=self.target_length,
    )
    weights, state = self._state(split.num_devices, split.mesh)
    summed = state["weights"] if split.accumulate > 1 else 0
    activations = memory.activation_bytes(
      config, self.loss, rows, weights=weights
    )
    return {
      **state,
      "gradients of a part": summed,
      **activations,
      memory.UPDATE: weights.largest,
      memory.EVALUATION: self.evaluation(split) if self.evaluation else 0,
    }

  def nearest(self, split: Split, capacity: int) -> Split | None:
    """Finds the nearest split that fits, with more devices if it must.

    Args:
      split: Where to look from.
      capacity: Usable bytes a device.

    Returns:
      The split itself where it fits; None where no number of devices helps.
    """
    devices = split.num_devices
    while devices <= max(MOST_DEVICES, split.num_devices):
      extremes = self._around(devices, {1, self.batch_size, split.accumulate})
      if any(self._fits(near, capacity) for near in extremes):
        parts = {1 << n for n in range(self.batch_size.bit_length())}
        near = self._around(devices, parts | {split.accumulate})
        near = sorted(near, key=split.distance)
        return next(s for s in near if self._fits(s, capacity))
      devices *= 2
    return None

  def _fits(self, split: Split, capacity: int) -> bool:
    return memory.peak(self.bytes(split)) <= capacity

  def _around(self, num_devices: int, parts: set[int]) -> Iterator[Split]:
    """Yields the splits that can run, with a batch taken in so many parts.

    The more parts the less memory, from two on: so where no split in one part
    or in as many as possible fits, none does.
    """
    for model in range(1, num_devices + 1):
      if num_devices % model:
        continue
      most = self.batch_size // math.gcd(self.batch_size, num_devices // model)
      wanted = sorted({n for n in parts if most % n == 0} | {most})
      for sharded, accumulate, remat in itertools.product(
        (False, True), wanted, _REMAT
      ):
        near = Split(
          num_devices=num_devices,
          mesh=MeshShape(model=model, fully_sharded=sharded),
          accumulate=accumulate,
          remat=remat,
        )
        if self.problem(near) is None:
          yield near

  @functools.cached_property
  def variables(self) -> Mapping[str, Any]:
    """The parameters' shapes, and the names of their axes."""
    return shapes.abstract(self.config)

  @functools.cached_property
  def _states(self) -> dict[Any, Any]:
    return {}

  def _state(
    self, num_devices: int, mesh: MeshShape
  ) -> tuple[Weights, dict[str, int]]:
    """Remembers what does not depend on rows: most of the counting."""
    key = (num_devices, mesh)
    if key not in self._states:
      weights = Weights(
        variables=self.variables, sizes=mesh.sizes(num_devices), mesh=mesh
      )
      self._states[key] = weights, weights.state_bytes(self._optimizer_state)
    return self._states[key]

  @functools.cached_property
  def _optimizer_state(self) -> Any:
    optimizer = of_model(self.optimizer.build(LONG), self.config)
    return jax.eval_shape(optimizer.init, self.variables["params"])
