import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.decoding.beam_search import beam_search
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.trie import Trie
from genret.models import shapes
from genret.models.flops import flops
from genret.models.query_flops import query_flops
from genret.models.sizes import PawaConfig, T5Config
from genret.models.stepper import T5Stepper

D, H, DH, F, V, R = 16, 2, 8, 32, 128, 32
J = H * DH
CONFIG = T5Config(
  vocab_size=64,
  emb_dim=D,
  num_heads=H,
  head_dim=DH,
  mlp_dim=F,
  num_encoder_layers=3,
  num_decoder_layers=2,
  docid_vocab_size=V,
  docid_length=3,
)


def by_hand(config, length, beams):
  """Multiplications alone; the caller doubles them."""
  depth = config.docid_length

  def positions(n):
    return H * R * n * n

  def attention(queries, keys, kernels):
    return queries * kernels * D * J + 2 * queries * keys * J

  def step(slots):
    layer = attention(slots, depth, 4) + attention(slots, length, 2)
    return 2 * (layer + slots * 3 * D * F) + positions(depth)

  slots = [1] + [beams] * (depth - 1)
  encoder_layer = attention(length, length, 4) + length * 3 * D * F
  return {
    "encoder": 3 * encoder_layer + positions(length),
    "decoder": 2 * 2 * length * D * J + sum(map(step, slots)),
    "head": sum(slots) * D * V,
  }


@pytest.mark.parametrize(
  ("docid_length", "beams"), [(1, 7), (3, 1), (3, 5), (8, 40)]
)
def test_equals_a_count_by_hand(docid_length, beams):
  config = dataclasses.replace(CONFIG, docid_length=docid_length)
  expected = by_hand(config, 10, beams)
  found = query_flops(config, input_length=10, num_beams=beams)
  assert found == {part: 2 * n for part, n in expected.items()}


def test_equals_the_products_of_the_search_where_no_beam_ends_early():
  config = dataclasses.replace(CONFIG, docid_length=2)
  codes = np.stack(np.meshgrid(range(2, 9), range(2, 9)), -1).reshape(-1, 2)
  trie = DeviceTrie.place(Trie.build(codes.astype(np.uint16), V))
  params = shapes.abstract(config)["params"]
  stepper = jax.eval_shape(lambda tree: T5Stepper.create(tree, config), params)

  def search(stepper, inputs):
    return beam_search(stepper, stepper.encode(inputs), trie, num_beams=4)

  inputs = jax.ShapeDtypeStruct((1, 10), jnp.int32)
  found = query_flops(config, input_length=10, num_beams=4)
  assert flops(search, stepper, inputs) == sum(found.values())


def test_a_prefix_aware_head_counts_each_levels_symbols():
  config = dataclasses.replace(
    CONFIG, level_starts=(2, 12, 20), pawa=PawaConfig(num_layers=2, mlp_dim=24)
  )
  plain = query_flops(
    dataclasses.replace(config, pawa=None), input_length=10, num_beams=5
  )
  found = query_flops(config, input_length=10, num_beams=5)
  assert found["encoder"] == plain["encoder"]
  slots, sizes = [1, 5, 5], [10, 8, V - 20]
  # The plain products of a level, what moves a, and the product with h.
  head = sum(
    n * (k + 1) * (2 * D + D * D) for n, k in zip(slots, sizes, strict=True)
  )
  assert found["head"] == 2 * head
  layer = 4 * D * J + 3 * D * 24
  adaptor = sum(n * 2 * (layer + 2 * 3 * J) + H * R * 9 for n in slots)
  assert found["decoder"] - plain["decoder"] == 2 * adaptor
