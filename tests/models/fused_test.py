import jax.numpy as jnp
import numpy as np

from genret.models import layers
from genret.models.fused import fuse

INPUTS = jnp.asarray([[5, 6, 7, 1], [8, 9, 1, 0]])


def test_joined_kernels_are_the_kernels_side_by_side(params):
  fused = fuse(params)
  layer, joined = (tree["decoder"]["layers_0"] for tree in (params, fused))
  for part, names in {
    "self_attention": layers.SELF,
    "encoder_decoder_attention": layers.CROSS,
    "mlp": layers.GATED,
  }.items():
    kernels = [layer[part][name]["kernel"] for name in names]
    got = joined[part]["+".join(names)]["kernel"]
    np.testing.assert_array_equal(got, np.concatenate(kernels, axis=1))
    assert not set(names) & joined[part].keys()
  query = joined["encoder_decoder_attention"]["query"]["kernel"]
  np.testing.assert_array_equal(
    query, layer["encoder_decoder_attention"]["query"]["kernel"]
  )


def test_the_head_lies_by_rows(params):
  head = fuse(params)["decoder"]["logits_dense"]
  assert head.keys() == {"rows"}
  np.testing.assert_array_equal(
    head["rows"].T, params["decoder"]["logits_dense"]["kernel"]
  )


def test_an_encoder_reads_both_trees_alike(params, config):
  got = layers.encode(fuse(params), config, INPUTS)
  np.testing.assert_allclose(
    got, layers.encode(params, config, INPUTS), atol=1e-6
  )
