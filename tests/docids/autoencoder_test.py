import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.docids import autoencoder
from genret.docids.rqvae_config import RqVaeConfig

CONFIG = RqVaeConfig(
  levels=2, k=8, hidden=(16,), latent=4, steps=60, batch_size=32,
  learning_rate=0.01, renewed_every=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def vectors():
  random = np.random.default_rng(0)
  return random.normal(size=(96, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def first(vectors):
  return autoencoder.start(vectors, CONFIG, seed=1)


@pytest.fixture(scope="module")
def trained(vectors):
  return autoencoder.train(vectors, CONFIG, seed=1)


def test_codes_are_the_nearest_to_what_is_left(trained, vectors):
  latent = np.asarray(autoencoder.encode(trained, vectors), np.float64)
  codes = autoencoder.quantised(trained, vectors)
  for level, book in enumerate(np.asarray(trained.books)):
    apart = np.square(latent[:, None] - book[None]).sum(-1)
    np.testing.assert_array_equal(codes[:, level], apart.argmin(-1))
    latent -= book[codes[:, level]]


def test_books_start_as_k_means(first, vectors):
  """Each code is the mean of what the first encoder makes of its own."""
  latent = np.asarray(autoencoder.encode(first, vectors))
  codes = autoencoder.quantised(first, vectors)[:, 0]
  means = [latent[codes == code].mean(0) for code in range(CONFIG.k)]
  assert len(set(codes.tolist())) == CONFIG.k
  np.testing.assert_allclose(first.books[0], means, atol=0.15)


def test_training_lowers_the_error(first, trained, vectors):
  before, after = (
    float(autoencoder._loss(params, vectors, commitment=0.25)[1].loss)
    for params in (first, trained)
  )
  assert after < 0.6 * before
  np.testing.assert_array_equal(first.centre, trained.centre)


def test_gradients_pass_the_quantisation_unchanged(first, vectors):
  """The decoder's gradient at the codes is the encoder's at its output."""
  found = autoencoder.quantise(first.books, autoencoder.encode(first, vectors))
  whole = found.taken.sum(1)
  target = (vectors - first.centre) / first.scale

  def error(latent):
    again = autoencoder._mlp(first.decoder, latent)
    return jnp.square(again - target).sum(-1).mean()

  slope = jax.jit(jax.grad(error))(whole)
  _, back = jax.vjp(
    lambda layers: autoencoder.encode(first._replace(encoder=layers), vectors),
    first.encoder,
  )
  expected = back(slope)[0]

  def loss(params):
    return autoencoder._loss(params, vectors, commitment=0.0)[0]

  grads = jax.jit(jax.grad(loss))(first)
  for ours, theirs in zip(
    jax.tree.leaves(grads.encoder), jax.tree.leaves(expected), strict=True
  ):
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_the_last_step_trains_every_code_that_it_leaves(vectors):
  """Of 64 codes a batch of 8 uses few; none is moved behind the last step."""
  short = dataclasses.replace(
    CONFIG, k=64, steps=2, batch_size=8, renewed_every=2
  )
  never = dataclasses.replace(short, renewed_every=3)
  ours, theirs = (
    autoencoder.train(vectors, config, seed=1) for config in (short, never)
  )
  np.testing.assert_array_equal(ours.books, theirs.books)
  each = dataclasses.replace(short, renewed_every=1)
  moved = autoencoder.train(vectors, each, seed=1)
  assert not np.array_equal(moved.books, theirs.books)


def test_codes_out_of_use_move_to_documents(first, vectors):
  used = jnp.ones((2, 8)).at[0, 3].set(0).at[1, 5].set(0)
  draws = jnp.arange(16).reshape(2, 8)
  moved = autoencoder.renewed(first, vectors[:32], used=used, draws=draws)
  left = autoencoder.quantise(
    first.books, autoencoder.encode(first, vectors[:32])
  ).left
  np.testing.assert_allclose(moved.books[0, 3], left[3, 0], rtol=1e-5)
  np.testing.assert_allclose(moved.books[1, 5], left[13, 1], rtol=1e-5)
  kept = np.asarray(used) > 0
  np.testing.assert_array_equal(
    np.asarray(moved.books)[kept], np.asarray(first.books)[kept]
  )
