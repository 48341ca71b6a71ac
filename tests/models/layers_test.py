import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.models import layers
from genret.models.sizes import T5Config


def normal(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_rms_norm_by_hand():
  # The mean square of (1, 7) is 25.
  out = layers.rms_norm(jnp.array([[1.0, 7.0]]), jnp.array([1.0, 2.0]))
  np.testing.assert_allclose(out, [[0.2, 2.8]], rtol=1e-6)


def test_rms_norm_of_bfloat16_sums_in_float32():
  x = jnp.full((1, 4096), 3.0, jnp.bfloat16)  # 4096 x 9 is no bfloat16
  out = layers.rms_norm(x, jnp.ones(4096))
  assert out.dtype == jnp.bfloat16
  np.testing.assert_array_equal(out, 1.0)


def test_gradients_of_dense_are_those_of_a_product():
  x, kernel, weights = normal(2, 3, 4), normal(4, 5), normal(2, 3, 5, seed=1)

  def ours(x, kernel):
    return jnp.sum(layers.dense(x, {"kernel": kernel}) * weights)

  def plain(x, kernel):
    return jnp.sum((x @ kernel) * weights)

  found = jax.grad(ours, (0, 1))(x, kernel)
  expected = jax.grad(plain, (0, 1))(x, kernel)
  for one, other in zip(found, expected, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_kernels_gradients_stay_float32_under_bfloat16():
  # 1 + 2^-9 would round to 1 if the sum over rows were kept in bfloat16.
  x = jnp.array([[1.0], [2.0**-9]], jnp.bfloat16)

  def total(kernel):
    return layers.dense(x, {"kernel": kernel}).astype(jnp.float32).sum()

  gradient = jax.grad(total)(jnp.ones((1, 1)))
  assert gradient.dtype == jnp.float32
  assert gradient[0, 0] == 1 + 2.0**-9


def test_attention_equals_one_head_and_query_at_a_time():
  batch, queries, keys, heads, width, emb = 2, 3, 5, 2, 4, 6
  params = {
    name: {"kernel": normal(emb, heads * width, seed=i)}
    for i, name in enumerate(("query", "key", "value"))
  } | {"out": {"kernel": normal(heads * width, emb, seed=9)}}
  x, source = normal(batch, queries, emb, seed=3), normal(batch, keys, emb)
  bias = normal(batch, heads, queries, keys, seed=5)
  attended = layers.projections(params, source, layers.CROSS)
  keys_values = tuple(layers.split_heads(part, heads) for part in attended)
  projected = layers.split_heads(layers.dense(x, params["query"]), heads)
  out = layers.attend(params, projected, keys_values, bias=bias)

  expected = np.zeros((batch, queries, heads * width), np.float32)
  for b in range(batch):
    for h in range(heads):
      part = slice(h * width, (h + 1) * width)
      k = source[b] @ params["key"]["kernel"][:, part]
      v = source[b] @ params["value"]["kernel"][:, part]
      for i in range(queries):
        scores = k @ (x[b, i] @ params["query"]["kernel"][:, part])
        weights = np.exp(scores + bias[b, h, i])  # not divided by sqrt(width)
        expected[b, i, part] = (weights / weights.sum()) @ v
  np.testing.assert_allclose(
    out, expected @ params["out"]["kernel"], rtol=1e-3, atol=1e-4
  )


def test_the_mlp_gates_by_the_tanh_form_of_gelu():
  one = {"kernel": jnp.ones((1, 1))}
  params = {"wi_0": one, "wi_1": {"kernel": 3 * jnp.ones((1, 1))}, "wo": one}
  out = layers.gated_mlp(params, jnp.ones((1, 1)), layers.OFF)
  gelu = 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (1 + 0.044715)))
  np.testing.assert_allclose(out, [[3 * gelu]], rtol=1e-6)


def test_dropout_shares_its_mask_along_the_length_and_keeps_the_mean():
  drop = layers.Dropout(0.25, jax.random.key(0))
  out = np.asarray(drop(jnp.ones((40, 7, 50)), 0))
  assert (out == out[:, :1]).all()
  assert set(np.unique(out)) == {0.0, np.float32(1 / 0.75)}
  assert out.mean() == pytest.approx(1, abs=0.05)


def test_dropout_differs_by_site_and_part():
  drop = layers.Dropout(0.5, jax.random.key(0))
  ones = jnp.ones((1, 1, 64))
  masks = [drop(ones, 0), drop(ones, 1), drop.within(0)(ones, 0)]
  masks.append(drop.within(1)(ones, 0))
  for i, one in enumerate(masks):
    assert not any((one == other).all() for other in masks[i + 1 :])


def test_dropout_that_is_off_is_the_identity():
  x = jnp.ones((1, 2, 3))
  assert layers.OFF(x, 0) is x
  assert layers.OFF.within(3)(x, 0) is x


def test_padded_columns_of_the_head_take_no_probability():
  config = T5Config(emb_dim=2, docid_vocab_size=3, docid_length=2)
  kernel = jnp.ones((2, 128))
  params = {"decoder": {"logits_dense": {"kernel": kernel}}}
  hidden = jnp.ones((1, 2), jnp.bfloat16)
  scores = layers.logits(params, config, hidden)
  assert scores.dtype == jnp.float32
  np.testing.assert_allclose(scores[0, :3], 2.0)
  np.testing.assert_allclose(
    jax.nn.softmax(scores)[0], [1 / 3] * 3 + [0] * 125, atol=1e-7
  )

  def loss(kernel):
    params = {"decoder": {"logits_dense": {"kernel": kernel}}}
    return -jax.nn.log_softmax(layers.logits(params, config, hidden))[0, 0]

  np.testing.assert_array_equal(jax.grad(loss)(kernel)[:, 3:], 0)
