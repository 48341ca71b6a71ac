"""One jitted optimizer step, the same program on one device and on many."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec

from genret.training import losses, optimizers, partitioning
from genret.training.partitioning import MeshShape, Rules

Batch = Mapping[str, jax.Array]


@flax.struct.dataclass
class TrainState:
  """What a step changes and a checkpoint keeps.

  Attributes:
    step: int32 scalar, the number of steps taken.
    params: The model's parameters, always float32.
    opt_state: The optimizer's state.
  """

  step: jax.Array
  params: Any
  opt_state: Any


@flax.struct.dataclass
class StepMetrics:
  """What one step reports, each a float32 scalar.

  Attributes:
    loss: Mean loss a target symbol, with smoothing and z-loss.
    cross_entropy: Mean negative log-likelihood a symbol, in nats.
    accuracy: Share of symbols predicted, teacher-forced.
    grad_norm: Global norm of the gradient.
    examples: Labelled examples in the batch.
  """

  loss: jax.Array
  cross_entropy: jax.Array
  accuracy: jax.Array
  grad_norm: jax.Array
  examples: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
  """The parts that make a step.

  Attributes:
    model: A module called as `model(inputs, decoder_inputs, …) -> logits`.
    num_symbols: Real columns of its logits.
    optimizer: The gradient transformation; what the model has frozen it
      neither sees nor changes.
    loss: Settings of the loss.
    sums: Sums the loss over a batch, called as `losses.batch_sums`, whose
      settings are `loss`.
    seed: Seeds parameters and dropout.
    mesh: Where it runs.
    rules: How parameters are split over it, by logical axis name.
    accumulate: Parts that a batch is taken in, one after another; the step
      is that of the whole batch and needs the memory of a part.
  """

  model: nn.Module
  num_symbols: int
  optimizer: optax.GradientTransformation
  loss: Any
  seed: int
  mesh: Mesh
  rules: Rules = dataclasses.field(default_factory=lambda: MeshShape().rules)
  accumulate: int = 1
  sums: Callable[..., losses.LossSums] = losses.batch_sums

  def abstract_variables(self) -> Mapping[str, Any]:
    """Returns shapes of the parameters and names of their axes."""
    return jax.eval_shape(self._init)

  def abstract_state(self) -> TrainState:
    """Returns shapes and placement of a state; nothing is allocated."""
    return jax.tree.map(
      lambda leaf, placement: jax.ShapeDtypeStruct(
        leaf.shape, leaf.dtype, sharding=placement
      ),
      self._shapes(),
      partitioning.placements(self.state_specs, self.mesh),
    )

  @functools.cached_property
  def state_specs(self) -> TrainState:
    """How a state is split: the optimizer's as its parameters."""
    specs = partitioning.partition_specs(
      self.abstract_variables(), self.mesh.shape, self.rules
    )
    state = self._shapes()
    return TrainState(
      step=PartitionSpec(),
      params=specs,
      opt_state=partitioning.state_specs(state.opt_state, state.params, specs),
    )

  def init_state(self) -> TrainState:
    """Returns the state before the first step, placed on the mesh."""
    placement = partitioning.placements(self.state_specs, self.mesh)
    params = jax.jit(
      lambda: nn.unbox(self._init()["params"]), out_shardings=placement.params
    )()
    return jax.jit(
      self._first_state, donate_argnums=0, out_shardings=placement
    )(params)

  def _shapes(self) -> TrainState:
    params = nn.unbox(self.abstract_variables()["params"])
    return jax.eval_shape(self._first_state, params)

  def _init(self) -> Mapping[str, Any]:
    tokens = jnp.ones((1, 8), jnp.int32)
    return self.model.init(jax.random.key(self.seed), tokens, tokens)

  def _first_state(self, params: Any) -> TrainState:
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=self._transformation.init(params),
    )

  @functools.cached_property
  def _transformation(self) -> optax.GradientTransformation:
    return optimizers.of_model(self.optimizer, self.model.config)

  def compile_step(
    self, state: TrainState
  ) -> Callable[[TrainState, Batch], tuple[TrainState, StepMetrics]]:
    """Returns the jitted step; it consumes (donates) the state it is given.

    Args:
      state: A state whose placement every later state keeps.
    """
    placement = jax.tree.map(lambda leaf: leaf.sharding, state)
    return jax.jit(
      self.step,
      donate_argnums=0,
      out_shardings=(placement, partitioning.replicated(self.mesh)),
    )

  def step(
    self, state: TrainState, batch: Batch
  ) -> tuple[TrainState, StepMetrics]:
    """Takes one optimizer step on one batch of seqio's model features."""
    key = jax.random.fold_in(jax.random.key(self.seed), state.step)
    grads, sums = self._gradients(state.params, batch, key)
    updates, opt_state = self._transformation.update(
      grads, state.opt_state, state.params
    )
    weight = jnp.maximum(sums.weight, 1.0)
    metrics = StepMetrics(
      loss=sums.total / weight,
      cross_entropy=sums.cross_entropy / weight,
      accuracy=sums.correct / weight,
      grad_norm=optax.tree.norm(grads),
      examples=count_examples(batch),
    )
    state = TrainState(
      step=state.step + 1,
      params=optax.apply_updates(state.params, updates),
      opt_state=opt_state,
    )
    return state, metrics

  def _gradients(
    self, params: Any, batch: Batch, key: jax.Array
  ) -> tuple[Any, losses.LossSums]:
    """Returns the gradient of the mean loss, and the loss sums."""
    if self.accumulate > 1:
      return self._accumulated(params, batch, key)

    def mean_loss(params: Any) -> tuple[jax.Array, losses.LossSums]:
      sums = self._sums(params, batch, key)
      return sums.total / jnp.maximum(sums.weight, 1.0), sums

    grads, sums = jax.grad(mean_loss, has_aux=True)(params)
    return self._placed(grads), sums

  def _accumulated(
    self, params: Any, batch: Batch, key: jax.Array
  ) -> tuple[Any, losses.LossSums]:
    """Sums gradients and losses over parts, then divides by the weight.

    Part i has rows i, i + A, … so that each device's rows stay its own.
    """

    def add(carried: Any, part: tuple[jax.Array, Batch]):
      index, rows = part
      grads, sums = jax.grad(total, has_aux=True)(params, rows, index)
      added = jax.tree.map(jnp.add, carried, (self._placed(grads), sums))
      return added, None

    def total(params: Any, rows: Batch, index: jax.Array):
      sums = self._sums(params, rows, jax.random.fold_in(key, index))
      return sums.total, sums

    zero = jnp.zeros((), jnp.float32)
    sums = losses.LossSums(*[zero] * len(dataclasses.fields(losses.LossSums)))
    grads = self._placed(jax.tree.map(jnp.zeros_like, params))
    numbers = jnp.arange(self.accumulate, dtype=jnp.int32)
    parts = {name: self._in_parts(rows) for name, rows in batch.items()}
    (grads, sums), _ = jax.lax.scan(add, (grads, sums), (numbers, parts))
    weight = jnp.maximum(sums.weight, 1.0)
    return jax.tree.map(lambda grad: grad / weight, grads), sums

  def _in_parts(self, rows: jax.Array) -> jax.Array:
    """Cuts a feature into parts: [B, …] to [A, B / A, …]."""
    parts = rows.reshape(-1, self.accumulate, *rows.shape[1:])
    parts = jnp.swapaxes(parts, 0, 1)
    if self.mesh.size == 1:
      return parts
    return jax.lax.with_sharding_constraint(
      parts, partitioning.batch_sharding(self.mesh, axis=1)
    )

  def _sums(self, params: Any, batch: Batch, key: jax.Array) -> losses.LossSums:
    with partitioning.constrained(self.mesh):
      return self.sums(
        self.model,
        params,
        batch,
        num_symbols=self.num_symbols,
        loss=self.loss,
        key=key,
        mesh=self.mesh,
        rules=self.rules,
      )

  def _placed(self, grads: Any) -> Any:
    """Splits gradients as their parameters are, as soon as they are there."""
    if self.mesh.size == 1:
      return grads
    return jax.lax.with_sharding_constraint(
      grads, partitioning.placements(self.state_specs.params, self.mesh)
    )


def count_examples(batch: Batch) -> jax.Array:
  """Returns how many labelled examples a batch holds, packed or padded.

  A batch without targets has one example a row.
  """
  if "decoder_loss_weights" not in batch:
    rows = len(next(iter(batch.values())))
    return jnp.asarray(rows, jnp.float32)
  segments = batch.get("decoder_segment_ids")
  if segments is not None:
    return jnp.sum(jnp.max(segments, axis=1)).astype(jnp.float32)
  has_target = jnp.any(batch["decoder_loss_weights"] > 0, axis=1)
  return jnp.sum(has_target).astype(jnp.float32)
