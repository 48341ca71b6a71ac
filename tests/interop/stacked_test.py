import dataclasses

import numpy as np
import pytest

from genret.core.errors import ArtifactError
from genret.interop import stacked
from genret.interop.leaves import Leaf


def tree(*, biases):
  query = np.arange(48.0).reshape(2, 3, 2, 4)  # [D, layers, H, Dh]
  return {
    "token_embedder/embedding": np.ones((5, 2)),
    "decoder/decoder/self_attention/query/kernel": query,
    "decoder/decoder/self_attention/out/kernel": query.T.reshape(2, 3, 4, 2),
    "decoder/decoder/mlp/wo/kernel": np.arange(12.0).reshape(2, 3, 2),
    "decoder/decoder/pre_mlp_layer_norm/scale": np.arange(6.0).reshape(2, 3),
    "decoder/decoder/relpos_bias/rel_embedding": biases,
    "encoder/encoder/mlp/wo/kernel": np.ones((2, 3, 2)),
    "encoder/encoder/relpos_bias/rel_embedding": np.ones((2, 3, 8)),
  }


def leaves(arrays):
  return {name: Leaf.of(array) for name, array in arrays.items()}


def test_layers_are_taken_apart_and_heads_joined():
  arrays = tree(biases=np.ones((2, 3, 8)))
  found, stacking = stacked.unstack(leaves(arrays))
  assert stacking == stacked.Stacking(num_heads=2, bias_in_layers=True)
  query = arrays["decoder/decoder/self_attention/query/kernel"]
  for i in range(3):
    layer = f"decoder/layers_{i}"
    expected = {
      "self_attention/query/kernel": query[:, i].reshape(2, 8),
      "mlp/wo/kernel": arrays["decoder/decoder/mlp/wo/kernel"][:, i],
      "pre_mlp_layer_norm/scale": np.arange(6.0).reshape(2, 3)[:, i],
    }
    for name, array in expected.items():
      leaf = found[f"{layer}/{name}"]
      assert leaf.shape == array.shape
      np.testing.assert_array_equal(leaf.read(), array)
  assert found["decoder/layers_2/self_attention/out/kernel"].shape == (8, 2)
  assert found["decoder/relpos_bias/rel_embedding"].shape == (2, 8)


def test_stacking_undoes_it():
  arrays = tree(biases=np.ones((2, 3, 8)))
  found, stacking = stacked.unstack(leaves(arrays))
  stacking = stacked.from_json(stacked.to_json(stacking))
  back = stacked.stack(found, stacking)
  assert back.keys() == arrays.keys()
  for name, array in arrays.items():
    assert back[name].shape == array.shape
    np.testing.assert_array_equal(back[name].read(), array)


def test_joined_kernels_and_one_bias_come_back():
  arrays = {
    "decoder/relpos_bias/rel_embedding": np.ones((2, 8)),
    "decoder/decoder/self_attention/out/kernel": np.ones((8, 3, 2)),
  }
  found, stacking = stacked.unstack(leaves(arrays))
  assert stacking == stacked.Stacking(num_heads=None, bias_in_layers=False)
  back = stacked.stack(found, stacking)
  assert {n: leaf.shape for n, leaf in back.items()} == {
    name: array.shape for name, array in arrays.items()
  }


def test_what_is_not_stacked_stays():
  arrays = {"decoder/layers_0/mlp/wo/kernel": np.ones((2, 2))}
  found, stacking = stacked.unstack(leaves(arrays))
  assert stacking is None
  assert found.keys() == arrays.keys()
  assert stacked.from_json(stacked.to_json(None)) is None


def test_a_bias_of_each_layer_is_refused():
  biases = np.ones((2, 3, 8))
  biases[0, 1, 0] = 2
  with pytest.raises(ArtifactError, match="position bias of its own"):
    stacked.unstack(leaves(tree(biases=biases)))


def test_a_stacked_array_is_read_once_where_its_layers_are_read_in_turn():
  arrays = tree(biases=np.ones((2, 3, 8)))
  reads = []

  def counted(name, array):
    def read():
      reads.append(name)
      return array

    return dataclasses.replace(Leaf.of(array), read=read)

  found, _ = stacked.unstack({n: counted(n, a) for n, a in arrays.items()})
  reads.clear()  # the biases, which are compared at once
  biases = {name for name in arrays if "bias" in name}
  for _ in range(2):
    for leaf in stacked.in_turn(found).values():
      leaf.read()
    assert sorted(reads) == sorted(arrays.keys() - biases)
    reads.clear()
