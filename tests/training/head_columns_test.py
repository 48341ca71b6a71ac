"""Rows of documents' columns; `dense_start_test` has blocks and devices."""

import jax.numpy as jnp
import numpy as np

from genret.training import head_columns


def test_some_rows_of_the_documents_columns_are_written():
  """By hand: three documents, four rows, of which two are written."""
  vectors = np.array([[3, 4], [0, 0], [0, -2]], np.float32)
  kernel = head_columns.write(
    jnp.full((4, 5), 7.0),
    np.array([4, 2, 3]),
    vectors.__getitem__,
    norm=10.0,
    first=1,
    label="test",
  )
  expected = np.full((4, 5), 7.0)
  expected[1:3, 4] = [6, 8]
  expected[1:3, 2] = 0  # no direction to scale
  expected[1:3, 3] = [0, -10]
  np.testing.assert_allclose(np.asarray(kernel), expected)


def test_a_matrix_comes_before_the_norm():
  matrix = np.array([[0, 2], [1, 0]], np.float32)
  kernel = head_columns.write(
    jnp.zeros((2, 1)),
    np.array([0]),
    lambda block: np.array([[3, 8]], np.float32)[block],
    norm=1.0,
    matrix=matrix,
    label="test",
  )
  np.testing.assert_allclose(np.asarray(kernel)[:, 0], [0.8, 0.6], rtol=1e-6)
