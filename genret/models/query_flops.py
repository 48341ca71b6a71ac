"""What one query costs: the products of the search, traced step by step."""

import jax
import jax.numpy as jnp

from genret.models import shapes
from genret.models.flops import flops
from genret.models.sizes import T5Config
from genret.models.stepper import T5Stepper


def query_flops(
  config: T5Config, *, input_length: int, num_beams: int
) -> dict[str, int]:
  """Counts the operations of searching one query.

  The encoder reads the query once. The first position has one slot, each of
  the other T - 1 has K, and every slot is scored against the whole head. A
  search over a trie takes fewer where beams end early, or where a level has
  fewer prefixes than K; it never takes more.

  Args:
    config: of the model, with docid_length T.
    input_length: L, tokens of the query, pads included.
    num_beams: K.

  Returns:
    Operations by "encoder", "decoder" (its keys and values of the query, and
    its steps) and "head".
  """
  params = shapes.abstract(config)["params"]
  stepper = jax.eval_shape(lambda tree: T5Stepper.create(tree, config), params)
  inputs = jax.ShapeDtypeStruct((1, input_length), jnp.int32)
  encoded = jax.eval_shape(T5Stepper.encode, stepper, inputs)
  cache = jax.eval_shape(T5Stepper.start, stepper, encoded)
  t = jax.ShapeDtypeStruct((), jnp.int32)

  def position(slots: int) -> tuple[int, int]:
    """Counts the decoder's and the head's share of a position."""
    places = jax.ShapeDtypeStruct((1, slots), jnp.int32)
    symbols = jax.ShapeDtypeStruct((1, slots, 1), jnp.int32)
    step = (stepper, cache, places, symbols, t)
    hidden, _ = jax.eval_shape(T5Stepper.step, *step)
    return flops(T5Stepper.step, *step), flops(
      T5Stepper.logits, stepper, hidden, t
    )

  following = config.docid_length - 1
  counts = [(1, 1), (following, num_beams)] if following else [(1, 1)]
  visits = [(times, *position(slots)) for times, slots in counts]
  return {
    "encoder": flops(T5Stepper.encode, stepper, inputs),
    "decoder": flops(T5Stepper.start, stepper, encoded)
    + sum(times * decoder for times, decoder, _ in visits),
    "head": sum(times * head for times, _, head in visits),
  }
