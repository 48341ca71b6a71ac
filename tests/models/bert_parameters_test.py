import dataclasses

import flax
import jax
import numpy as np

from genret.models import bert_parameters, shapes
from genret.models.t5 import T5

E, C, V = 12, 4, 40


def flat(tree):
  return flax.traverse_util.flatten_dict(tree, sep="/")


def test_names_and_shapes(encoded_config):
  tree = shapes.abstract(encoded_config)["params"]
  assert tree.keys() == {"encoder", "decoder"}
  found = {name: leaf.shape for name, leaf in flat(tree["encoder"]).items()}
  layer = {
    "mlp/wi/kernel": (E, 20),
    "mlp/wi/bias": (20,),
    "mlp/wo/kernel": (20, E),
    "mlp/wo/bias": (E,),
  }
  for name in ("query", "key", "value", "out"):
    layer[f"attention/{name}/kernel"] = (E, E)
    layer[f"attention/{name}/bias"] = (E,)
  for name in ("attention_norm", "mlp_norm"):
    layer[f"{name}/scale"] = layer[f"{name}/bias"] = (E,)
  expected = {
    "bert/embeddings/word/embedding": (V, E),
    "bert/embeddings/position/embedding": (10, E),
    "bert/embeddings/segment/embedding": (2, E),
    "bert/embeddings/norm/scale": (E,),
    "bert/embeddings/norm/bias": (E,),
    "lexical/embedding": (V, C),
  }
  for i in range(2):
    expected |= {f"bert/layers_{i}/{k}": shape for k, shape in layer.items()}
  assert found == expected


def test_every_parameter_has_logical_axes(encoded_config):
  variables = shapes.abstract(encoded_config)
  params, axes = flat(variables["params"]), flat(variables["params_axes"])
  assert {f"{name}_axes" for name in params} == axes.keys()
  for name, leaf in params.items():
    assert len(axes[f"{name}_axes"].names) == leaf.ndim, name


def test_starting_values(encoded_config):
  tokens = np.ones((1, 4), np.int32)
  model = T5(encoded_config)
  tree = jax.jit(model.init)(jax.random.key(0), tokens, tokens)["params"]
  lexical = tree["encoder"]["lexical"]["embedding"]
  layer = tree["encoder"]["bert"]["layers_1"]
  assert 0.4 < np.std(lexical) < 0.6
  assert 0.015 < np.std(layer["mlp"]["wi"]["kernel"]) < 0.025
  assert not np.any(layer["mlp"]["wi"]["bias"])
  assert np.all(layer["mlp_norm"]["scale"] == 1)


def test_no_lexical_vectors_where_none_are_wanted(encoded_config):
  plain = dataclasses.replace(encoded_config.encoder, lexical_dim=0)
  assert bert_parameters.tree(plain).keys() == {"bert"}
