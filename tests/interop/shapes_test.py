import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from genret.core.errors import ArtifactError
from genret.interop import shapes
from genret.interop.leaves import Leaf
from genret.models.sizes import SIZES
from genret.models.t5 import T5, T5Config


def leaves_of(config):
  """Returns leaves with the shapes of a model, which nobody reads."""
  model, ids = T5(config), jnp.ones((1, 2), jnp.int32)
  tree = jax.eval_shape(lambda: model.init(jax.random.key(0), ids, ids))
  flat = traverse_util.flatten_dict(tree["params"], sep="/")
  return {
    path: Leaf(shape=leaf.shape, dtype=np.dtype("f4"), read=lambda: None)
    for path, leaf in flat.items()
  }


@pytest.mark.parametrize("size", ["small", "xxl"])
def test_finds_the_configuration_of_a_size(size):
  assert shapes.config_of(leaves_of(SIZES[size])) == SIZES[size]


def test_docids_of_an_own_vocabulary():
  config = T5Config(
    docid_vocab_size=300, docid_length=5, num_encoder_layers=1, head_multiple=1
  )
  found = shapes.config_of(leaves_of(config), docid_length=5)
  assert found == config
  atomic = dataclasses.replace(config, docid_length=1, docid_vocab_size=384)
  found = shapes.config_of(leaves_of(atomic), dropout_rate=0.0)
  assert found == dataclasses.replace(
    atomic, dropout_rate=0.0, head_multiple=128
  )


def test_t5_1_0_is_refused():
  with pytest.raises(ArtifactError, match="T5 1.0"):
    shapes.config_of({"encoder/layers_0/mlp/wi/kernel": Leaf.of(0)})


def test_what_is_missing_is_named():
  found = leaves_of(SIZES["tiny"])
  del found["token_embedder/embedding"]
  with pytest.raises(ArtifactError, match="token_embedder/embedding"):
    shapes.config_of(found)
