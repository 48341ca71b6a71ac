"""Symbols that are known beforehand, against the definition."""

import jax.numpy as jnp
import numpy as np
import pytest

from genret.decoding import forced
from genret.decoding.selection import Frontier

ROWS = np.array([[5, 2, 7, 3, 2, 6], [3, 3, 1, 0, 0, 0], [6, 1, 0, 0, 0, 0]])


@pytest.fixture(scope="module")
def promised(toy):
  """Log-probabilities of each symbol of ROWS by the definition, [B, K, T]."""
  decoder = toy.decoder()
  table = np.zeros((2, *ROWS.shape))
  for b, query in enumerate(np.asarray(toy.queries()["query"])):
    for k, row in enumerate(ROWS.tolist()):
      for t in range(np.count_nonzero(row)):
        logits = decoder.prefix_logits(query, [tuple(row[:t])])[0]
        table[b, k, t] = logits[row[t]] - np.log(np.exp(logits).sum())
  return table


def read_until(decoder, encoded, rows, t):
  """Returns the cache after positions 0 to t - 1 of every row."""
  cache = decoder.start(encoded)
  before = jnp.pad(rows[..., :-1], [(0, 0), (0, 0), (1, 0)])
  _, cache = decoder.step(cache, jnp.zeros((2, 3), int), before[..., :t], 0)
  return cache


def test_log_probabilities_are_summed_over_positions(toy, promised):
  decoder, rows = toy.decoder(), jnp.broadcast_to(ROWS, (2, *ROWS.shape))
  before = jnp.pad(rows[..., :-1], [(0, 0), (0, 0), (1, 0)])
  hidden, _ = decoder.step(
    decoder.start(toy.queries()), jnp.zeros((2, 3), int), before, 0
  )
  got = forced.log_probabilities(decoder, hidden, rows, t=0)
  np.testing.assert_allclose(got, promised.sum(axis=-1), atol=1e-5)


@pytest.mark.parametrize("t", [1, 2, 3, 5, 6])
def test_tails_are_added_whatever_their_length(toy, promised, t):
  """Slots are out of order before the tail, and one holds no beam."""
  decoder, encoded = toy.decoder(), toy.queries()
  rows = jnp.broadcast_to(ROWS, (2, *ROWS.shape))
  order = jnp.array([2, 0, 1])
  cache = read_until(decoder, encoded, rows[:, order], t)
  beams = Frontier(
    states=jnp.full((2, 3), ~0),
    scores=jnp.array([[-1.0, -2.0, -jnp.inf]] * 2),
    parents=jnp.argsort(order)[None].repeat(2, axis=0),
    symbols=rows[..., t - 1],
  )
  got = forced.score_tails(
    decoder, cache, beams, rows=rows, t=jnp.int32(t), longest=5
  )
  want = np.asarray(beams.scores) + promised[..., t:].sum(axis=-1)
  np.testing.assert_allclose(got.scores, want, atol=1e-5)
