"""Step by step equals one pass; beams follow their parents."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.models.stepper import GATHER_COST, T5Stepper
from genret.models.t5 import T5

INPUTS = jnp.asarray([[5, 6, 7, 1], [8, 9, 1, 0]])
# Two beams a query: whole docids of four symbols.
ROWS = jnp.asarray([[[3, 4, 5, 6], [3, 7, 2, 2]], [[8, 8, 3, 2], [2, 4, 4, 0]]])


step = jax.jit(T5Stepper.step)
start = jax.jit(lambda stepper, inputs: stepper.start(stepper.encode(inputs)))


@pytest.fixture(scope="module")
def stepper(params, config):
  return T5Stepper.create(params, config)


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
  hidden, cache = step(stepper, cache, zeros, zeros[..., None], 0)
  got = jax.nn.log_softmax(stepper.logits(hidden[:, :, 0], 0))
  np.testing.assert_allclose(got[:, 0], log_probabilities[:, 0, 0], atol=1e-5)
  parents = jnp.zeros((2, 2), jnp.int32)  # both beams continue the one slot
  for t in range(1, 4):
    before = ROWS[:, :, t - 1, None]
    hidden, cache = step(stepper, cache, parents, before, t)
    got = jax.nn.log_softmax(stepper.logits(hidden[:, :, 0], t))
    np.testing.assert_allclose(got, log_probabilities[:, :, t], atol=1e-5)
    parents = jnp.asarray([[0, 1], [0, 1]])


def test_beams_follow_their_parents(stepper, log_probabilities):
  """Swapping the beams at every step gives swapped results."""
  cache = start(stepper, INPUTS)
  zeros = jnp.zeros((2, 1), jnp.int32)
  _, cache = step(stepper, cache, zeros, zeros[..., None], 0)
  order, parents = jnp.asarray([0, 1]), jnp.zeros((2, 2), jnp.int32)
  for t in range(1, 4):
    before = ROWS[:, order, t - 1, None]
    hidden, cache = step(stepper, cache, parents, before, t)
    got = jax.nn.log_softmax(stepper.logits(hidden[:, :, 0], t))
    np.testing.assert_allclose(got, log_probabilities[:, order, t], atol=1e-5)
    order, parents = order[::-1], jnp.asarray([[1, 0], [1, 0]])


def test_one_pass_over_several_positions_equals_steps(
  stepper, log_probabilities
):
  cache = start(stepper, INPUTS)
  zeros = jnp.zeros((2, 2), jnp.int32)
  _, cache = step(stepper, cache, zeros, zeros[..., None], 0)
  swapped = jnp.asarray([[1, 0], [0, 1]])  # alike still: both read BOS alone
  hidden, cache = step(stepper, cache, swapped, ROWS[..., :2], 1)
  got = jax.nn.log_softmax(stepper.logits(hidden, 1))
  np.testing.assert_allclose(got, log_probabilities[:, :, 1:3], atol=1e-5)
  hidden, _ = step(stepper, cache, None, ROWS[..., 2:3], 3)
  got = jax.nn.log_softmax(stepper.logits(hidden[:, :, 0], 3))
  np.testing.assert_allclose(got, log_probabilities[:, :, 3], atol=1e-5)


@pytest.mark.parametrize("width", [1, 2])
def test_candidates_are_gathered(stepper, width):
  """One candidate by its row of the head, two by the whole head."""
  head = stepper.params["decoder"]["logits_dense"]["rows"]
  assert (GATHER_COST * width >= len(head)) == (width == 2)
  hidden = jnp.linspace(-1, 1, 64).reshape(2, 2, 16)
  candidates = jnp.asarray([[[2, 5], [3, 3]], [[8, 2], [4, 6]]])[..., :width]
  got = stepper.logits_at(hidden, 0, candidates)
  whole = stepper.logits(hidden, 0)
  want = jnp.take_along_axis(whole, candidates, axis=-1)
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_runs_of_symbols_are_columns_of_the_whole(stepper):
  hidden = jnp.linspace(-1, 1, 32).reshape(2, 16)
  got = stepper.logits_between(hidden, jnp.int32(4), width=3)
  want = stepper.logits(hidden, 0)[:, 4:7]
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_atomic_docids_read_only_bos(config, params):
  atomic = dataclasses.replace(config, docid_length=1)
  decoder = dict(params["decoder"])
  rows = decoder["docid_embedder"]["embedding"]
  one_row = decoder | {"docid_embedder": {"embedding": rows[:1]}}
  alone = T5Stepper.create(params | {"decoder": one_row}, atomic)
  zeros = jnp.zeros((2, 1), jnp.int32)
  hidden, _ = step(alone, start(alone, INPUTS), zeros, zeros[..., None], 0)
  whole = T5(config).apply({"params": params}, INPUTS, zeros)
  np.testing.assert_allclose(alone.logits(hidden[:, :, 0], 0), whole, atol=1e-5)


def test_decoding_without_a_length_says_what_to_set(config, params):
  text = dataclasses.replace(config, docid_vocab_size=None, docid_length=None)
  endless = T5Stepper.create(params, text)
  with pytest.raises(ConfigError, match="docid_length"):
    endless.start(endless.encode(INPUTS))
