"""T5's input embedding starts as another model's word vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.training import piece_start


def _vectors(count, dim):
  """Numbers with a mean far from zero, as word vectors have."""
  rng = np.random.default_rng(1)
  return (3 + rng.normal(size=(count, dim))).astype(np.float32)


@pytest.mark.parametrize("dim", [6, 9])
def test_pieces_keep_their_place_among_each_other(dim):
  vectors, ids = _vectors(20, 6), np.random.default_rng(2).permutation(30)[:20]
  before = np.asarray(jax.random.normal(jax.random.key(0), (30, dim)))
  after = piece_start.start(jnp.asarray(before), ids, vectors, stddev=0.1)
  rows = np.asarray(after)[ids]
  assert rows.std() == pytest.approx(0.1, rel=1e-4)
  np.testing.assert_allclose(rows.mean(0), 0, atol=1e-6)
  centred = vectors - vectors.mean(0)
  scale = (rows**2).sum() / (centred**2).sum()
  np.testing.assert_allclose(
    rows @ rows.T, scale * centred @ centred.T, atol=1e-5
  )
  others = np.setdiff1d(np.arange(30), ids)
  np.testing.assert_array_equal(np.asarray(after)[others], before[others])


def test_wider_vectors_keep_their_principal_directions():
  rng = np.random.default_rng(3)
  vectors = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 12))
  vectors = vectors.astype(np.float32)
  after = piece_start.start(
    jnp.zeros((200, 4)), np.arange(200), vectors, stddev=1.0
  )
  rows, centred = np.asarray(after), vectors - vectors.mean(0)
  found = np.corrcoef((rows @ rows.T).ravel(), (centred @ centred.T).ravel())
  assert found[0, 1] > 0.9999
