"""What one query costs: the products of the search, traced step by step."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from genret.models import shapes
from genret.models.flops import flops
from genret.models.sizes import T5Config
from genret.models.stepper import T5Stepper


def query_flops(
  config: T5Config,
  *,
  input_length: int,
  num_beams: int,
  count: Callable[..., Any] = flops,
) -> dict[str, Any]:
  """Counts the operations of searching one query.

  The encoder reads the query once. The first position has one slot, each of
  the other T - 1 has K, and every slot is scored against the whole head. A
  search over a trie takes fewer where beams end early, or where a level has
  fewer prefixes than K; it never takes more.

  Args:
    config: of the model, with docid_length T.
    input_length: L, tokens of the query, pads included.
    num_beams: K.
    count: says what a function and its arguments cost; others than `flops`
      are asked of the same parts of the search.

  Returns:
    Operations by "encoder", "decoder" (its keys and values of the query, and
    its steps, with those of a prefix-aware head's adaptor) and "head". Of a
    prefix-aware head each position counts the symbols of its own level.
  """
  params = shapes.abstract(config)["params"]
  stepper = jax.eval_shape(lambda tree: T5Stepper.create(tree, config), params)
  inputs = jax.ShapeDtypeStruct((1, input_length), jnp.int32)
  encoded = jax.eval_shape(T5Stepper.encode, stepper, inputs)
  cache = jax.eval_shape(T5Stepper.start, stepper, encoded)
  traced = jax.ShapeDtypeStruct((), jnp.int32)

  def position(slots: int, level: int | None) -> tuple[Any, Any]:
    """Counts the decoder's and the head's share of a position."""
    places = jax.ShapeDtypeStruct((1, slots), jnp.int32)
    symbols = jax.ShapeDtypeStruct((1, slots, 1), jnp.int32)
    step = (stepper, cache, places, symbols, traced)
    hidden, _ = jax.eval_shape(T5Stepper.step, *step)
    head = functools.partial(T5Stepper.logits, t=level)
    return count(T5Stepper.step, *step), count(head, stepper, hidden)

  visits = [
    (times, *position(*place)) for times, *place in _places(config, num_beams)
  ]
  return {
    "encoder": count(T5Stepper.encode, stepper, inputs),
    "decoder": count(T5Stepper.start, stepper, encoded)
    + sum(times * decoder for times, decoder, _ in visits),
    "head": sum(times * head for times, _, head in visits),
  }


def _places(
  config: T5Config, num_beams: int
) -> list[tuple[int, int, int | None]]:
  """Returns how often a position is alike, its slots, and its level."""
  following = config.docid_length - 1
  if config.pawa is not None:
    levels = range(1, config.docid_length)
    return [(1, 1, 0), *((1, num_beams, level) for level in levels)]
  return [(1, 1, None), *([(following, num_beams, None)] if following else [])]
