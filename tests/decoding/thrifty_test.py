"""Idle slots are not stepped, and busy ones do not notice."""

import jax
import jax.numpy as jnp
import numpy as np

from genret.decoding.thrifty import Thrifty

SLOTS = 16
step = jax.jit(lambda decoder, *arguments: decoder.step(*arguments))


def test_busy_slots_step_as_if_none_were_idle(toy):
  """All slots of two decoders at once; in one of them some fall idle."""
  plain, thrifty = toy.decoder(), Thrifty(toy.decoder())
  whole, part = (d.start(toy.queries()) for d in (plain, thrifty))
  rng = np.random.default_rng(0)
  alive = np.ones((2, 1), bool)
  for t, busy in enumerate((1, SLOTS, SLOTS, 9, 3, 5)):
    slots = 1 if t == 0 else SLOTS
    idle = np.ones((2, slots), bool)
    parents = np.zeros((2, slots), int)
    for b, count in enumerate((busy, max(1, busy - 1))):
      idle[b, rng.permutation(slots)[:count]] = False
      # Any slot of the step before that was busy may be continued.
      parents[b] = rng.choice(np.flatnonzero(alive[b]), slots)
    symbols = rng.integers(2, 8, (2, slots, 1))
    want, whole = step(plain, whole, parents, symbols, t)
    resting = np.where(idle, -1, parents)
    got, part = step(thrifty, part, resting, symbols, t)
    got, want = np.asarray(got), np.asarray(want)
    np.testing.assert_allclose(got[~idle], want[~idle], atol=1e-6)
    assert np.isfinite(got).all()
    alive = ~idle


def test_fewer_slots_are_stepped_where_fewer_are_busy(toy):
  counted = []

  class Counting(type(toy.decoder())):
    def step(self, cache, parents, symbols, t):
      jax.debug.callback(lambda: counted.append(symbols.shape[1]))
      return super().step(cache, parents, symbols, t)

  fields = vars(toy.decoder())
  thrifty = Thrifty(
    jax.tree_util.register_dataclass(Counting, list(fields), [])(**fields)
  )
  cache = thrifty.start(toy.queries())
  parents = jnp.zeros((2, SLOTS), int)
  _, cache = thrifty.step(cache, parents, parents[..., None], 0)
  for busy in (16, 9, 8, 4, 0):
    idle = jnp.where(jnp.arange(SLOTS) < busy, parents, -1)
    thrifty.step(cache, idle, parents[..., None], 1)
  jax.effects_barrier()
  assert counted == [16, 16, 16, 8, 4, 4]
