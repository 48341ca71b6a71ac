import jax.numpy as jnp
import numpy as np
import pytest

from genret.models.positions import causal_bias, position_bias, relative_buckets
from genret.models.sizes import T5Config


def buckets(length, bidirectional):
  return relative_buckets(
    length, bidirectional=bidirectional, num_buckets=32, max_distance=128
  )


def test_near_distances_have_a_bucket_each():
  np.testing.assert_array_equal(
    buckets(4, True),
    [[0, 17, 18, 19], [1, 0, 17, 18], [2, 1, 0, 17], [3, 2, 1, 0]],
  )
  np.testing.assert_array_equal(
    buckets(4, False), [[0, 0, 0, 0], [1, 0, 0, 0], [2, 1, 0, 0], [3, 2, 1, 0]]
  )


def test_far_distances_share_buckets_that_grow_by_powers():
  # 8 exact buckets a direction, then 8 between 8 and 128: each spans a factor
  # of 16 ** (1 / 8) = sqrt(2).
  first_column = buckets(200, True)[:, 0]
  starts = [int(np.argmax(first_column == bucket)) for bucket in range(16)]
  assert starts == [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]
  assert (first_column[91:] == 15).all()


@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_equal_those_of_transformers(bidirectional):
  torch = pytest.importorskip(
    "torch", reason="torch is no part of genret[test]"
  )
  t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
  positions = torch.arange(700)
  theirs = t5.T5Attention._relative_position_bucket(
    positions[None, :] - positions[:, None],
    bidirectional=bidirectional,
    num_buckets=32,
    max_distance=128,
  )
  np.testing.assert_array_equal(buckets(700, bidirectional), theirs.numpy())


def test_the_bias_is_the_embedding_of_the_bucket_exactly():
  config = T5Config(num_heads=2)
  table = np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)
  params = {"relpos_bias": {"rel_embedding": jnp.asarray(table)}}
  bias = position_bias(params, config, 20, bidirectional=True)
  np.testing.assert_array_equal(bias, table[:, buckets(20, True)])


def test_later_keys_are_masked_in_the_decoder():
  config = T5Config(num_heads=1)
  params = {"decoder": {"relpos_bias": {"rel_embedding": jnp.zeros((1, 32))}}}
  bias = np.asarray(causal_bias(params, config, 3))[0]
  np.testing.assert_array_equal(bias < -1e9, [[0, 1, 1], [0, 0, 1], [0, 0, 0]])
