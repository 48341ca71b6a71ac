"""The head's loss a chunk of columns at a time.

With a symbol for each of millions of documents the logits, [B, V], and their
gradient are what does not fit. Here a chunk of columns is scored, looked at
and forgotten; going backward it is scored once more, turned into
probabilities, and its share of both gradients is added up. The fourth matrix
product is the price (the plain head has three), and memory the gain: beside
the kernel and its gradient stand a few chunks of each.

On a mesh each device goes through its own columns and rows. What is joined:
a few numbers a row over the axis that splits the columns, and the hidden
states' gradient too; the kernel's gradient over the axis that splits the rows,
chunk by chunk, since a sum of all of it at the end would need it twice. Where
that axis splits the kernel's D as well (fully sharded parameters), a chunk is
put together when it is wanted and its gradient taken apart: no device ever
holds more than that whole.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from genret.core.errors import ConfigError
from genret.models.layers import NO_SYMBOL
from genret.training.head_layout import WHOLE, Layout
from genret.training.target_scores import TargetScores

Carry = TypeVar("Carry")

_NOWHERE = jnp.iinfo(jnp.int32).max  # Beyond any column.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunked:
  """Computes the head's loss a chunk at a time.

  Attributes:
    size: Columns of a chunk, at most, on each device.
  """

  size: int = 8192

  def __post_init__(self):
    if self.size < 1:
      raise ConfigError(
        f"Chunked.size is {self.size}; a chunk has 1 column or more."
      )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Plan:
  """All that is static about the computation."""

  size: int
  num_symbols: int
  with_mean: bool
  layout: Layout

  def chunks(
    self,
    body: Callable[[Carry, Array | int, int], Carry],
    carry: Carry,
    width: int,
  ) -> Carry:
    """Folds over the chunks of `width` columns; the last may be narrower.

    Args:
      body: From what has been found, the first column and the number of
        columns to what has then been found.
      carry: What there is to begin with.
      width: Columns.
    """
    size = min(self.size, width)
    whole, rest = divmod(width, size)
    carry = jax.lax.fori_loop(
      0, whole, lambda i, found: body(found, i * size, size), carry
    )
    return body(carry, whole * size, rest) if rest else carry

  def logits(
    self, hidden: Array, chunk: Array, columns: Int[Array, "C"]
  ) -> Float[Array, "R C"]:
    """Scores a chunk's columns; those that only pad the head are masked."""
    logits = hidden @ chunk
    return jnp.where(columns < self.num_symbols, logits, NO_SYMBOL)


def score(
  hidden: Float[Array, "R D"],
  kernel: Float[Array, "D V"],
  targets: Int[Array, "R"],
  *,
  num_symbols: int,
  with_mean: bool,
  size: int,
  layout: Layout = WHOLE,
) -> TargetScores:
  """Scores the targets of rows without ever holding their logits.

  Args:
    hidden: What the head reads, float32.
    kernel: The head.
    targets: The symbols to predict, below `num_symbols`.
    num_symbols: How many columns are real.
    with_mean: Whether the mean logit is wanted; it costs a pass over each
      chunk.
    size: Columns of a chunk, at most, on each device.
    layout: How rows and kernel are split.
  """
  plan = _Plan(
    size=size, num_symbols=num_symbols, with_mean=with_mean, layout=layout
  )
  log_z, target, mean, largest = _score(plan, _Inputs(hidden, kernel, targets))
  return TargetScores(
    log_z=log_z,
    target=target,
    mean=mean if with_mean else None,
    largest=largest,
  )


class _Inputs(NamedTuple):
  """What is scored: arrays, how they are split, or their gradients."""

  hidden: Any
  kernel: Any
  targets: Any


def _specs(layout: Layout) -> _Inputs:
  return _Inputs(layout.of_rows, layout.of_kernel, layout.of_rows)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _score(plan: _Plan, inputs: _Inputs):
  layout = plan.layout
  look = layout.map(
    partial(_look, plan),
    arguments=(_specs(layout),),
    results=(layout.of_rows,) * 4,
  )
  return look(inputs)


def _forward(plan: _Plan, inputs: _Inputs):
  scores = _score(plan, inputs)
  return scores, (inputs, scores[0])


def _backward(plan: _Plan, residuals, for_scores):
  layout = plan.layout
  gradients = layout.map(
    partial(_gradients, plan),
    arguments=(_specs(layout), layout.of_rows, (layout.of_rows,) * 3),
    results=(layout.of_rows, layout.of_kernel),
  )
  # Nothing flows back through `largest`, nor to the targets.
  return (_Inputs(*gradients(*residuals, for_scores[:3]), None),)


_score.defvjp(_forward, _backward)


def _look(plan: _Plan, inputs: _Inputs):
  """Returns log_z, target, mean and largest of a device's rows."""
  hidden, kernel, targets = inputs
  layout, width = plan.layout, kernel.shape[1]
  offset = layout.first_column(width)

  def look(found, first, size):
    top, total, target, mean, best = found
    columns = offset + first + jnp.arange(size)
    chunk = jax.lax.dynamic_slice_in_dim(kernel, first, size, axis=1)
    logits = plan.logits(hidden, layout.gathered(chunk), columns)  # [R, C]
    here = logits.max(-1)  # [R]
    first_best = jnp.where(logits == here[:, None], columns, _NOWHERE).min(-1)
    best = jnp.where(here > top, first_best, best)
    new_top = jnp.maximum(top, here)
    total = total * jnp.exp(top - new_top) + jnp.exp(
      logits - new_top[:, None]
    ).sum(-1)
    at = targets - offset - first
    value = jnp.take_along_axis(
      logits, jnp.clip(at, 0, size - 1)[:, None], axis=-1
    ).squeeze(-1)
    target = jnp.where((at >= 0) & (at < size), value, target)
    if plan.with_mean:
      mean = mean + jnp.where(columns < plan.num_symbols, logits, 0).sum(-1)
    return new_top, total, target, mean, best

  nothing = jnp.zeros(targets.shape, jnp.float32)
  top, total, target, mean, best = plan.chunks(
    look,
    (nothing - jnp.inf, nothing, nothing, nothing, nothing.astype(jnp.int32)),
    width,
  )
  if layout.columns:
    own = top
    top = jax.lax.pmax(own, layout.columns)
    total = total * jnp.exp(own - top)
    best = jax.lax.pmin(jnp.where(own == top, best, _NOWHERE), layout.columns)
  total, target, mean = layout.sum_over_columns((total, target, mean))
  log_z = jnp.log(total) + top
  return log_z, target, mean / plan.num_symbols, best == targets


def _gradients(plan: _Plan, *residuals_and_gradients):
  """Returns the gradients of a device's rows and of its part of the kernel."""
  (hidden, kernel, targets), log_z, for_scores = residuals_and_gradients
  for_log_z, for_target, for_mean = for_scores
  layout, width = plan.layout, kernel.shape[1]
  offset = layout.first_column(width)

  def add(found, first, size):
    for_hidden, for_kernel = found
    columns = offset + first + jnp.arange(size)
    chunk = jax.lax.dynamic_slice_in_dim(kernel, first, size, axis=1)
    chunk = layout.gathered(chunk)
    logits = plan.logits(hidden, chunk, columns)
    for_logits = for_log_z[:, None] * jnp.exp(logits - log_z[:, None])
    for_logits += jnp.where(columns == targets[:, None], for_target[:, None], 0)
    if plan.with_mean:
      share = for_mean[:, None] / plan.num_symbols
      for_logits += jnp.where(columns < plan.num_symbols, share, 0)
    part = layout.summed(hidden.T @ for_logits)  # [D, C]
    for_kernel = jax.lax.dynamic_update_slice_in_dim(
      for_kernel, part, first, axis=1
    )
    return for_hidden + for_logits @ chunk.T, for_kernel

  for_hidden, for_kernel = plan.chunks(
    add, (jnp.zeros_like(hidden), jnp.zeros_like(kernel)), width
  )
  return layout.sum_over_columns(for_hidden), for_kernel
