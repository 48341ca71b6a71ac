"""One jitted optimizer step, the same program on one device and on many."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from genret.training import losses, partitioning

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
    optimizer: The gradient transformation.
    loss: Settings of the loss.
    seed: Seeds parameters and dropout.
    mesh: Where it runs.
  """

  model: nn.Module
  num_symbols: int
  optimizer: optax.GradientTransformation
  loss: losses.Loss
  seed: int
  mesh: Mesh

  def init_state(self) -> TrainState:
    """Returns the state before the first step, placed on the mesh."""
    key = jax.random.key(self.seed)

    def init() -> Mapping[str, Any]:
      tokens = jnp.ones((1, 8), jnp.int32)
      return self.model.init(key, tokens, tokens)

    abstract = jax.eval_shape(init)
    shardings = partitioning.parameter_shardings(abstract, self.mesh)
    params = jax.jit(
      lambda: nn.unbox(init()["params"]), out_shardings=shardings
    )()
    opt_state = jax.jit(
      self.optimizer.init,
      out_shardings=self._opt_shardings(params, shardings),
    )(params)
    step = jax.device_put(
      jnp.zeros((), jnp.int32), partitioning.replicated(self.mesh)
    )
    return TrainState(step=step, params=params, opt_state=opt_state)

  def _opt_shardings(self, params: Any, shardings: Any) -> Any:
    """Places each optimizer leaf like the parameter whose shape it has."""
    whole = partitioning.replicated(self.mesh)
    abstract = jax.eval_shape(self.optimizer.init, params)
    return optax.tree_map_params(
      self.optimizer,
      lambda leaf, param, sharding: (
        sharding if leaf.shape == param.shape else whole
      ),
      abstract,
      params,
      shardings,
      transform_non_params=lambda _: whole,
    )

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
    updates, opt_state = self.optimizer.update(
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

    def mean_loss(params: Any) -> tuple[jax.Array, losses.LossSums]:
      sums = losses.batch_sums(
        self.model,
        params,
        batch,
        num_symbols=self.num_symbols,
        loss=self.loss,
        key=key,
        mesh=self.mesh,
      )
      return sums.total / jnp.maximum(sums.weight, 1.0), sums

    return jax.grad(mean_loss, has_aux=True)(params)


def count_examples(batch: Batch) -> jax.Array:
  """Returns how many labelled examples a batch holds, packed or padded."""
  segments = batch.get("decoder_segment_ids")
  if segments is not None:
    return jnp.sum(jnp.max(segments, axis=1)).astype(jnp.float32)
  has_target = jnp.any(batch["decoder_loss_weights"] > 0, axis=1)
  return jnp.sum(has_target).astype(jnp.float32)
