"""The head's columns start as the documents' embeddings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.training import dense_start, head_columns
from genret.training.dense_start import DenseStart


def _kernel(dim, width):
  return jax.random.normal(jax.random.key(0), (dim, width)) / dim**0.5


def _vectors(num_documents, dim, *, rank=None):
  rng = np.random.default_rng(1)
  if rank is None:
    return rng.normal(size=(num_documents, dim)).astype(np.float16)
  vectors = rng.normal(size=(num_documents, rank)) @ rng.normal(
    size=(rank, dim)
  )
  noise = 0.1 * rng.normal(size=(num_documents, dim))
  return (vectors + noise).astype(np.float32)


def _cosines(rows):
  unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
  return unit @ unit.T


@pytest.mark.parametrize("dim", [12, 20])
def test_narrower_embeddings_keep_their_angles(dim):
  vectors, symbols = _vectors(30, 12), np.random.default_rng(2).permutation(30)
  kernel = dense_start.start(
    _kernel(dim, 128), symbols + 2, vectors, how=DenseStart(norm=1.5)
  )
  columns = np.asarray(kernel)[:, symbols + 2].T
  np.testing.assert_allclose(np.linalg.norm(columns, axis=1), 1.5, rtol=1e-5)
  np.testing.assert_allclose(
    _cosines(columns), _cosines(vectors.astype(np.float32)), atol=1e-5
  )


def test_columns_of_no_document_keep_what_they_have():
  before = np.asarray(_kernel(8, 128))
  after = dense_start.start(
    jnp.asarray(before), np.arange(2, 32), _vectors(30, 6), how=DenseStart()
  )
  after = np.asarray(after)
  changed = np.flatnonzero((after != before).any(0))
  assert changed.tolist() == list(range(2, 32))


def test_principal_directions_keep_more_than_random_ones():
  vectors = _vectors(200, 64, rank=6)

  def error(projection):
    kernel = dense_start.start(
      _kernel(8, 256),
      np.arange(200),
      vectors,
      how=DenseStart(projection=projection),
    )
    found = _cosines(np.asarray(kernel)[:, :200].T)
    return np.abs(found - _cosines(vectors)).mean()

  assert error("pca") < 0.01
  assert error("pca") < error("random") / 5


def test_every_block_is_written():
  num_documents = head_columns.BLOCK + 5
  vectors = _vectors(num_documents, 3)
  kernel = dense_start.start(
    jnp.zeros((4, num_documents + 2)),
    np.arange(2, num_documents + 2),
    vectors,
    how=DenseStart(),
  )
  norms = np.linalg.norm(np.asarray(kernel), axis=0)
  np.testing.assert_allclose(norms[:2], 0)
  np.testing.assert_allclose(norms[2:], 1, rtol=1e-5)


def test_the_seed_decides():
  vectors = _vectors(10, 6)

  def columns(seed):
    kernel = dense_start.start(
      jnp.zeros((8, 10)), np.arange(10), vectors, how=DenseStart(seed=seed)
    )
    return np.asarray(kernel)

  np.testing.assert_array_equal(columns(0), columns(0))
  assert np.abs(columns(0) - columns(1)).max() > 0.1


def test_without_a_matrix_embeddings_are_the_first_rows():
  vectors, before = _vectors(10, 6), np.asarray(_kernel(8, 128))
  how = DenseStart(norm=2.0, projection="none")
  after = dense_start.start(
    jnp.asarray(before), np.arange(10), vectors, how=how
  )
  unit = vectors / np.linalg.norm(
    vectors.astype(np.float32), axis=1, keepdims=True
  )
  np.testing.assert_allclose(np.asarray(after)[:6, :10], 2 * unit.T, rtol=1e-3)
  np.testing.assert_array_equal(np.asarray(after)[6:], before[6:])
  with pytest.raises(ConfigError, match="6 numbers where the model has 4"):
    dense_start.start(jnp.zeros((4, 10)), np.arange(10), vectors, how=how)


def test_wrong_settings_are_refused():
  with pytest.raises(ConfigError, match="norm is 0"):
    DenseStart(norm=0)
  with pytest.raises(ConfigError, match="Did you mean 'random'"):
    DenseStart(projection="randon")


@pytest.mark.parametrize("kind", ["split", "fully sharded"])
@pytest.mark.parametrize("mesh", ["8x1", "4x2", "1x8"])
def test_a_head_in_parts_is_written_where_it_lies(mesh, kind, sharded_head):
  found = sharded_head[f"{mesh} dense start"][kind]
  assert found["same_split"]
  assert found["furthest"] < 1e-5
