"""Names, shapes and starting values of the tree."""

import dataclasses

import flax
import jax
import jax.numpy as jnp
import numpy as np

from genret.models.t5 import T5


def make(config):
  tokens = jnp.ones((1, 4), jnp.int32)
  return T5(config).init(jax.random.key(1), tokens, tokens)


def test_names_and_shapes_are_those_of_t5x(params):
  flat = flax.traverse_util.flatten_dict(params, sep="/")
  shapes = {name: leaf.shape for name, leaf in flat.items()}
  layer = "decoder/layers_1"
  assert shapes["token_embedder/embedding"] == (40, 16)
  assert shapes["encoder/relpos_bias/rel_embedding"] == (2, 32)
  assert shapes["encoder/layers_0/attention/query/kernel"] == (16, 16)
  assert shapes[f"{layer}/encoder_decoder_attention/out/kernel"] == (16, 16)
  assert shapes[f"{layer}/pre_cross_attention_layer_norm/scale"] == (16,)
  assert shapes[f"{layer}/mlp/wi_1/kernel"] == (16, 24)
  assert shapes[f"{layer}/mlp/wo/kernel"] == (24, 16)
  assert shapes["decoder/docid_embedder/embedding"] == (9, 16)
  assert shapes["decoder/logits_dense/kernel"] == (16, 128)
  assert len(shapes) == 53


def test_every_parameter_has_logical_axes(config):
  variables = jax.eval_shape(lambda: make(config))
  params = flax.traverse_util.flatten_dict(variables["params"])
  axes = flax.traverse_util.flatten_dict(variables["params_axes"])
  named = {
    (*path[:-1], path[-1].removesuffix("_axes")): value
    for path, value in axes.items()
  }
  assert named.keys() == params.keys()
  for path, leaf in params.items():
    assert len(named[path].names) == leaf.ndim, path


def test_a_copying_cross_attention_starts_as_the_identity(config):
  params = make(dataclasses.replace(config, cross_copies_at_init=True))
  attention = params["params"]["decoder"]["layers_0"][
    "encoder_decoder_attention"
  ]
  product = attention["value"]["kernel"] @ attention["out"]["kernel"]
  np.testing.assert_allclose(product, np.eye(16), atol=1e-5)


def test_scales_multiply_the_usual_start(config, params):
  small = make(dataclasses.replace(config, residual_init_scale=0.5))["params"]
  for path in (("attention", "out"), ("mlp", "wo")):
    usual = params["encoder"]["layers_0"][path[0]][path[1]]["kernel"]
    scaled = small["encoder"]["layers_0"][path[0]][path[1]]["kernel"]
    np.testing.assert_allclose(scaled, 0.5 * usual, rtol=1e-6)
