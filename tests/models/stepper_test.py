"""Step by step equals one pass; beams follow their parents."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.models.stepper import T5Stepper
from genret.models.t5 import T5

INPUTS = jnp.asarray([[5, 6, 7, 1], [8, 9, 1, 0]])
# Two beams a query: whole docids of four symbols.
ROWS = jnp.asarray([[[3, 4, 5, 6], [3, 7, 2, 2]], [[8, 8, 3, 2], [2, 4, 4, 0]]])


step = jax.jit(T5Stepper.step)
score_forced = jax.jit(T5Stepper.score_forced)
start = jax.jit(lambda stepper, inputs: stepper.start(stepper.encode(inputs)))


@pytest.fixture(scope="module")
def stepper(params, config):
  return T5Stepper(params=params, config=config)


@pytest.fixture(scope="module")
def log_probabilities(params, config):
  """[B, K, T, V], by the whole model, one beam at a time."""
  shifted = jnp.pad(ROWS[..., :-1], ((0, 0), (0, 0), (1, 0)))
  apply = jax.jit(T5(config).apply)
  per_beam = [
    apply({"params": params}, INPUTS, shifted[:, k]) for k in range(2)
  ]
  return np.asarray(jax.nn.log_softmax(jnp.stack(per_beam, 1)))


def test_steps_equal_one_pass(stepper, log_probabilities):
  cache = start(stepper, INPUTS)
  zeros = jnp.zeros((2, 1), jnp.int32)
  hidden, cache = step(stepper, cache, zeros, zeros, 0)
  got = jax.nn.log_softmax(stepper.logits(hidden, 0))
  np.testing.assert_allclose(got[:, 0], log_probabilities[:, 0, 0], atol=1e-5)
  parents = jnp.zeros((2, 2), jnp.int32)  # both beams continue the one slot
  for t in range(1, 4):
    hidden, cache = step(stepper, cache, parents, ROWS[:, :, t - 1], t)
    got = jax.nn.log_softmax(stepper.logits(hidden, t))
    np.testing.assert_allclose(got, log_probabilities[:, :, t], atol=1e-5)
    parents = jnp.asarray([[0, 1], [0, 1]])


def test_beams_follow_their_parents(stepper, log_probabilities):
  """Swapping the beams at every step gives swapped results."""
  cache = start(stepper, INPUTS)
  zeros = jnp.zeros((2, 1), jnp.int32)
  _, cache = step(stepper, cache, zeros, zeros, 0)
  order, parents = jnp.asarray([0, 1]), jnp.zeros((2, 2), jnp.int32)
  for t in range(1, 4):
    symbols = ROWS[:, order, t - 1]
    hidden, cache = step(stepper, cache, parents, symbols, t)
    got = jax.nn.log_softmax(stepper.logits(hidden, t))
    np.testing.assert_allclose(got, log_probabilities[:, order, t], atol=1e-5)
    order, parents = order[::-1], jnp.asarray([[1, 0], [1, 0]])


def test_forced_scores_sum_from_their_start(stepper, log_probabilities):
  cache = start(stepper, INPUTS)
  first = jnp.asarray([[0, 2], [1, 0]])
  got = score_forced(stepper, cache, ROWS, first)
  for b in range(2):
    for k in range(2):
      expected = sum(
        log_probabilities[b, k, t, int(ROWS[b, k, t])]
        for t in range(int(first[b, k]), 4)
        if int(ROWS[b, k, t])
      )
      assert float(got[b, k]) == pytest.approx(expected, abs=1e-4)


def test_candidates_are_gathered(stepper):
  hidden = jnp.ones((2, 2, 16))
  candidates = jnp.asarray([[[2, 5], [3, 3]], [[8, 2], [4, 6]]])
  got = stepper.logits_at(hidden, 0, candidates)
  whole = stepper.logits(hidden, 0)
  assert float(got[1, 0, 0]) == float(whole[1, 0, 8])
  assert float(got[0, 1, 1]) == float(whole[0, 1, 3])


def test_atomic_docids_read_only_bos(config, params):
  atomic = dataclasses.replace(config, docid_length=1)
  decoder = dict(params["decoder"])
  rows = decoder["docid_embedder"]["embedding"]
  one_row = decoder | {"docid_embedder": {"embedding": rows[:1]}}
  alone = T5Stepper(params=params | {"decoder": one_row}, config=atomic)
  zeros = jnp.zeros((2, 1), jnp.int32)
  hidden, _ = step(alone, start(alone, INPUTS), zeros, zeros, 0)
  whole = T5(config).apply({"params": params}, INPUTS, zeros)
  np.testing.assert_allclose(alone.logits(hidden, 0), whole, atol=1e-5)


def test_decoding_without_a_length_says_what_to_set(config, params):
  text = dataclasses.replace(config, docid_vocab_size=None, docid_length=None)
  endless = T5Stepper(params=params, config=text)
  with pytest.raises(ConfigError, match="docid_length"):
    endless.start(endless.encode(INPUTS))
