"""Vectors of a dual encoder, and scores between them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from genret.core.errors import ConfigError
from genret.embeddings.bert import BertConfig
from genret.models import dual_encoder
from genret.models.dual_encoder import DualEncoder
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5, T5Config

CONFIG = T5Config(
  vocab_size=50,
  emb_dim=8,
  num_heads=2,
  head_dim=4,
  mlp_dim=16,
  num_encoder_layers=1,
  dropout_rate=0.5,
)
BERT = dataclasses.replace(
  CONFIG,
  encoder=EncoderConfig(
    bert=BertConfig(
      vocab_size=50, emb_dim=8, num_heads=2, mlp_dim=16, num_layers=1
    )
  ),
)
TOKENS = np.array([[5, 6, 7, 1, 0, 0], [9, 1, 0, 0, 0, 0]])


@functools.partial(jax.jit, static_argnums=0)
def initialised(model):
  return model.init(jax.random.key(0), TOKENS, TOKENS)["params"]


@functools.partial(jax.jit, static_argnums=0, static_argnames="deterministic")
def vectors(model, params, tokens=TOKENS, **given):
  return model.apply({"params": params}, tokens, method="vectors", **given)


@pytest.mark.parametrize(
  ("config", "dim"), [(CONFIG, 3), (BERT, None)], ids=["t5", "bert"]
)
def test_a_vector_a_text_has_length_1_and_ignores_pads(config, dim):
  model = DualEncoder(config, dim=dim)
  params = initialised(model)
  found = vectors(model, params)
  assert found.shape == (2, dim or 8)
  np.testing.assert_allclose(jnp.linalg.norm(found, axis=1), 1, rtol=1e-5)
  again = vectors(model, params, TOKENS[:, :4])
  np.testing.assert_allclose(found, again, atol=1e-5)


def test_late_interaction_keeps_a_vector_a_token():
  model = DualEncoder(CONFIG, scoring="late", dim=3)
  found = vectors(model, initialised(model))
  assert found.shape == (2, 6, 3)
  lengths = np.linalg.norm(found, axis=-1)
  np.testing.assert_allclose(lengths, TOKENS > 0, atol=1e-5)


@pytest.mark.parametrize("config", [CONFIG, BERT], ids=["t5", "bert"])
def test_parameters_are_named_as_those_of_a_t5(config):
  own = initialised(DualEncoder(config, dim=3))
  whole = dataclasses.replace(config, docid_vocab_size=4, docid_length=2)
  of_t5 = jax.eval_shape(
    lambda: T5(whole).init(jax.random.key(0), TOKENS, TOKENS)["params"]
  )
  names = {
    name: leaf.shape
    for name, leaf in traverse_util.flatten_dict(own, sep="/").items()
  }
  assert names.pop("projection/kernel") == (8, 3)
  theirs = traverse_util.flatten_dict(dict(of_t5), sep="/")
  assert names == {
    name: leaf.shape
    for name, leaf in theirs.items()
    if not name.startswith("decoder/")
  }


def test_dropout_is_drawn_only_when_asked():
  model = DualEncoder(CONFIG)
  params = initialised(model)
  rngs = {"dropout": jax.random.key(1)}
  dropped = vectors(model, params, deterministic=False, rngs=rngs)
  assert not np.allclose(dropped, vectors(model, params))


def test_unknown_scoring_names_the_known():
  with pytest.raises(ConfigError, match="scoring is 'lat'.*late"):
    initialised(DualEncoder(CONFIG, scoring="lat"))


def slow_max_sim(query, document):
  best = [max(float(q @ d) for d in document) for q in query]
  return sum(best) / len(best)


def test_max_sim_equals_all_pairs_one_by_one():
  rng = np.random.default_rng(0)
  queries = [rng.normal(size=(n, 4)) for n in (3, 1)]
  documents = [-np.abs(rng.normal(size=(n, 4))) for n in (2, 5, 1)]
  found = dual_encoder.scores(*map(padded, (queries, documents)))
  expected = [[slow_max_sim(q, d) for d in documents] for q in queries]
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def padded(rows):
  """Unit vectors of texts, zeros after them."""
  out = np.zeros((len(rows), max(map(len, rows)), 4), np.float32)
  for place, row in enumerate(rows):
    row /= np.linalg.norm(row, axis=1, keepdims=True)
    out[place, : len(row)] = row
  return out


def test_pads_leave_the_gradient_finite():
  model = DualEncoder(CONFIG, scoring="late")

  def loss(params):
    found = vectors(model, params)
    return dual_encoder.scores(found, found).sum()

  grads = jax.jit(jax.grad(loss))(initialised(model))
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
