import flax.struct
import jax
import jax.numpy as jnp
import pytest

from genret.decoding.loop import walk


@flax.struct.dataclass
class Greedy:
  """One slot a query, which writes the likeliest symbol until it is 3."""

  parents: jax.Array
  symbols: jax.Array
  written: jax.Array  # [B, T]


def run(toy, unrolled):
  decoder, encoded = toy.decoder(), toy.queries()

  def choose(hidden, state, t):
    best = decoder.logits(hidden, t).argmax(axis=-1)
    written = state.written.at[:, t].set(best[:, 0])
    return Greedy(state.parents, best, written)

  zeros = jnp.zeros((2, 1), int)
  return walk(
    decoder,
    encoded,
    Greedy(zeros, zeros, jnp.zeros((2, 6), int)),
    choose=choose,
    more=lambda state: (state.symbols != 3).any(),
    unrolled=unrolled,
    length=6,
  )


def greedy(decoder, query):
  prefix = ()
  while len(prefix) < 6:
    prefix += (int(decoder.prefix_logits(query, [prefix])[0].argmax()),)
  return prefix


@pytest.mark.parametrize("unrolled", [1, 2, 6])
def test_unrolled_or_not_the_walk_is_the_same(toy, unrolled):
  t, _, state = jax.jit(lambda: run(toy, unrolled))()
  whole = [greedy(toy.decoder(), q) for q in toy.queries()["query"]]
  # The loop ends after the step in which both have written a 3 at once.
  ends = [i + 1 for i in range(6) if all(row[i] == 3 for row in whole)]
  ends = [end for end in ends if end >= unrolled] + [6]
  assert t == ends[0]
  assert state.written[:, :t].tolist() == [
    list(row[: ends[0]]) for row in whole
  ]
  assert not state.written[:, ends[0] :].any()
