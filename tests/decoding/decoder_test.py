"""The promises of the protocol, kept by the decoder these tests search with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

ROWS = np.array([[5, 2, 7, 1], [3, 3, 1, 0], [6, 1, 0, 0]])


@pytest.fixture(scope="module")
def promised(toy):
  """Log-probabilities of each symbol of ROWS by the definition, [B, K, T]."""
  decoder, encoded = toy.decoder(length=4), toy.queries()
  table = np.zeros((2, *ROWS.shape))
  for b, query in enumerate(np.asarray(encoded["query"])):
    for k, row in enumerate(ROWS.tolist()):
      for t in range(np.count_nonzero(row)):
        logits = decoder.prefix_logits(query, [tuple(row[:t])])[0]
        table[b, k, t] = logits[row[t]] - np.log(np.exp(logits).sum())
  return table


def test_stepping_in_any_order_of_slots_follows_the_prefixes(toy, promised):
  decoder = toy.decoder(length=4)
  step = jax.jit(decoder.step)
  cache = decoder.start(toy.queries())
  rng = np.random.default_rng(0)
  before = np.zeros((2, 1), int)  # the row in each slot; one slot at first
  for t in range(4):
    rows = np.stack([rng.permutation(3) for _ in range(2)])
    if t == 0:
      rows, symbols = before, np.zeros((2, 1), int)
      parents = np.zeros((2, 1), int)
    else:
      symbols = ROWS[rows, t - 1]
      parents = np.argmax(rows[:, :, None] == before[:, None], axis=2)
    hidden, cache = step(cache, parents, symbols[..., None], t)
    scores = jax.nn.log_softmax(decoder.logits(hidden[:, :, 0], t))
    got = np.take_along_axis(np.asarray(scores), ROWS[rows, t, None], 2)[..., 0]
    want = promised[np.arange(2)[:, None], rows, t]
    np.testing.assert_allclose(np.where(want, got, 0), want, atol=1e-5)
    before = rows


def test_logits_at_candidates_are_those_among_all(toy):
  decoder = toy.decoder()
  hidden = jnp.linspace(-1, 1, 30).reshape(2, 3, 5)
  candidates = np.random.default_rng(0).integers(0, 8, (2, 3, 4))
  want = np.take_along_axis(
    np.asarray(decoder.logits(hidden, 0)), candidates, 2
  )
  got = decoder.logits_at(hidden, 0, candidates)
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_several_positions_are_read_as_one_after_the_other(toy, promised):
  decoder = toy.decoder(length=4)
  before = jnp.broadcast_to(jnp.pad(ROWS[:, :-1], [(0, 0), (1, 0)]), (2, 3, 4))
  zeros = jnp.zeros((2, 3), int)
  _, cache = decoder.step(
    decoder.start(toy.queries()), zeros, before[..., :1], 0
  )
  hidden, _ = decoder.step(cache, None, before[..., 1:], 1)
  for t in range(1, 4):
    scores = jax.nn.log_softmax(decoder.logits(hidden[:, :, t - 1], t))
    got = np.take_along_axis(np.asarray(scores), ROWS[None, :, t, None], 2)
    want = promised[..., t]
    np.testing.assert_allclose(np.where(want, got[..., 0], 0), want, atol=1e-5)


def test_symbols_between_are_those_of_all(toy):
  decoder = toy.decoder()
  hidden = jnp.linspace(-1, 1, 10).reshape(2, 5)
  got = decoder.logits_between(hidden, 4, width=2)
  want = decoder.logits(hidden[:, None], 0)[:, 0, 4:6]
  np.testing.assert_allclose(got, want, atol=1e-5)
