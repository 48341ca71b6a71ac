"""The best through blocks are the best of all, ties included."""

import jax
import numpy as np
import pytest

from genret.decoding import top_k as top_k_lib

ours = jax.jit(top_k_lib.top_k, static_argnums=1)
plain = jax.jit(
  lambda scores, k: jax.lax.top_k(scores.reshape(len(scores), -1), k),
  static_argnums=1,
)


@pytest.mark.parametrize("values", [4, 1000, 10**9])
@pytest.mark.parametrize("k", [1, 7, 40])
def test_the_best_are_those_of_a_plain_search(values, k):
  """Few distinct values make many ties; the earlier score must win."""
  rng = np.random.default_rng(k)
  scores = rng.integers(0, values, (3, 600, 64)).astype(np.float32)
  assert scores[0].size >= top_k_lib._MANY
  scores[1, rng.random((600, 64)) < 0.99] = -np.inf
  scores[2] = -np.inf
  for got, want in zip(ours(scores, k), plain(scores, k), strict=True):
    np.testing.assert_array_equal(got, want)


def test_as_many_as_there_are_scores():
  scores = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
  for got, want in zip(ours(scores, 15), plain(scores, 15), strict=True):
    np.testing.assert_array_equal(got, want)
