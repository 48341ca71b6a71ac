"""The loop that every way of decoding runs: step, choose, and again."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from genret.decoding.decoder import Cache, Decoder, Encoded


class Slots(Protocol):
  """What the next step reads: K slots for each of B queries.

  Attributes:
    parents: slot of the step before that each continues; None where each
      continues itself.
    symbols: the symbol that each reads.
  """

  parents: Int[Array, "B K"] | None
  symbols: Int[Array, "B K"]


State = TypeVar("State", bound=Slots)
Choose = Callable[[Float[Array, "B K D"], State, int | Array], State]


def walk(
  decoder: Decoder,
  encoded: Encoded,
  state: State,
  *,
  choose: Choose,
  more: Callable[[State], Bool[Array, ""]],
  unrolled: int,
  length: int,
) -> tuple[Int[Array, ""], Cache, State]:
  """Steps a decoder until nothing is left to choose.

  The first positions are compiled one by one, the others as the body of one
  `lax.while_loop`, whose state must keep its shapes.

  Args:
    decoder: the model.
    encoded: the encoder's output.
    state: one slot for each query, or as many as the caller likes.
    choose: from what the head reads, the state and the position, the next
      state. The position is a Python int where it is unrolled.
    more: whether any slot has something left to choose; asked by the loop
      alone.
    unrolled: positions compiled one by one, at least one.
    length: T, where the walk ends at last.

  Returns:
    The position after the last that was read, the cache, and the state.
  """
  carry = 0, decoder.start(encoded), state
  while carry[0] < unrolled:
    carry = _advance(decoder, choose, carry)
  t, cache, state = carry
  carry = jnp.int32(t), cache, state
  if t == length:
    return carry
  return _until(decoder, carry, choose=choose, more=more, length=length)


def go_on(
  decoder: Decoder,
  carry: tuple[Int[Array, ""], Cache, State],
  *,
  choose: Choose,
  more: Callable[[State], Bool[Array, ""]],
  length: int,
) -> tuple[Int[Array, ""], Cache, State]:
  """Walks on with another number of slots.

  Args:
    decoder: the model.
    carry: what a walk returned, in whose state the new slots now stand. One
      step is taken whatever `more` says; where nothing is left to choose, the
      state must not mind.
    choose: as in `walk`, and the others too.
    more: see there.
    length: see there.

  Returns:
    The same as `walk`.
  """
  carry = _advance(decoder, choose, carry)
  return _until(decoder, carry, choose=choose, more=more, length=length)


Carry = tuple[int | Array, Cache, State]


def _advance(decoder: Decoder, choose: Choose, carry: Carry) -> Carry:
  t, cache, state = carry
  symbols = state.symbols[..., None]
  hidden, cache = decoder.step(cache, state.parents, symbols, t)
  return t + 1, cache, choose(hidden[:, :, 0], state, t)


def _until(
  decoder: Decoder,
  carry: Carry,
  *,
  choose: Choose,
  more: Callable[[State], Bool[Array, ""]],
  length: int,
) -> Carry:
  return jax.lax.while_loop(
    lambda carry: (carry[0] < length) & more(carry[2]),
    lambda carry: _advance(decoder, choose, carry),
    carry,
  )
