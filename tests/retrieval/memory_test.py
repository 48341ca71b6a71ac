"""Bytes of a search, against the arrays of real ones."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.decoding.atomic import AtomicIndex
from genret.decoding.device_trie import DeviceTrie
from genret.decoding.trie import Trie
from genret.models import shapes
from genret.models.sizes import PawaConfig
from genret.models.stepper import T5Stepper
from genret.models.t5 import T5Config
from genret.retrieval import memory
from genret.retrieval.memory import DocidShape

CONFIG = T5Config(
  vocab_size=64,
  emb_dim=32,
  num_heads=4,
  head_dim=8,
  mlp_dim=64,
  num_encoder_layers=1,
  num_decoder_layers=3,
  dtype="bfloat16",
)


def size(tree):
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def codes(numbers, length):
  digits = [numbers // 10**i % 10 for i in reversed(range(length))]
  return np.stack(digits, axis=-1).astype(np.int32) + 2


@pytest.mark.parametrize("vocab_size", [12, 100_000])
def test_a_full_trie_is_counted_to_the_byte(vocab_size):
  trie = Trie.build(codes(np.arange(10_000), 4), vocab_size)
  shape = DocidShape(num_documents=10_000, length=4, vocab_size=vocab_size)
  real = size(DeviceTrie.place(trie)) - 4  # the root
  assert memory.trie_bytes(shape, vocab_size) == real


def test_random_docids_take_a_tenth_more_at_most():
  numbers = np.random.default_rng(0).choice(10**6, 200_000, replace=False)
  real = size(DeviceTrie.place(Trie.build(codes(numbers, 6), 12)))
  shape = DocidShape(num_documents=200_000, length=6, vocab_size=12)
  assert 0.9 * real < memory.trie_bytes(shape, 12) <= real


def test_atomic_docids_take_no_trie():
  trie = Trie.build(np.arange(2, 50_002)[:, None], 50_002)
  real = size(AtomicIndex.place(trie))
  found = memory.trie_bytes(DocidShape(num_documents=50_000, length=1), 50_002)
  assert real <= found < 1.01 * real


def test_caches_are_those_of_the_stepper():
  shape = DocidShape(num_documents=1000, length=3, vocab_size=12)
  config = shape.model(CONFIG)
  params = shapes.abstract(config)["params"]
  stepper = jax.eval_shape(lambda tree: T5Stepper.create(tree, config), params)
  inputs = jax.ShapeDtypeStruct((7, 20), jnp.int32)
  encoded = jax.eval_shape(T5Stepper.encode, stepper, inputs)
  places = jax.ShapeDtypeStruct((7, 5), jnp.int32)
  symbols = jax.ShapeDtypeStruct((7, 5, 1), jnp.int32)
  cache = jax.eval_shape(T5Stepper.start, stepper, encoded)
  _, cache = jax.eval_shape(
    T5Stepper.step, stepper, cache, places, symbols, places.dtype.type(1)
  )
  found = memory.search_bytes(config, queries=7, input_length=20, num_beams=5)
  assert found["query keys and values"] == size(cache.cross)
  assert found["beam keys and values"] == 2 * size(cache.own)
  assert found["logits"] == 2 * 4 * 7 * 5 * config.head_width


def test_the_model_axis_splits_heads():
  config = DocidShape(num_documents=1000, length=3, vocab_size=12).model(CONFIG)

  def caches(ways):
    found = memory.search_bytes(
      config, queries=7, input_length=20, num_beams=5, ways=ways
    )
    return found["query keys and values"]

  assert caches(2) == caches(1) / 2
  assert caches(3) == caches(1)


def test_docids_have_symbols_of_their_own_or_are_text():
  assert DocidShape(num_documents=10, length=1).symbols == 12
  assert DocidShape(num_documents=10, length=4).symbols is None
  model = DocidShape(num_documents=10, length=4).model(CONFIG)
  assert (model.num_symbols, model.docid_length) == (64, 4)


def test_symbols_too_few_for_the_documents_are_refused():
  DocidShape(num_documents=1000, length=3, vocab_size=12)
  with pytest.raises(ConfigError, match="out of 13 or more"):
    DocidShape(num_documents=1001, length=3, vocab_size=12)
  with pytest.raises(ConfigError, match="both must be 1 or more"):
    DocidShape(num_documents=0, length=1)


def test_docids_of_levels_bring_their_symbols():
  docids = DocidShape(num_documents=900, length=3, level_sizes=[10, 10, 20])
  assert docids.symbols == 42 and docids.level_starts == (2, 12, 22)
  model = docids.model(dataclasses.replace(CONFIG, pawa=PawaConfig()))
  assert model.level_sizes == (10, 10, 20)
  with pytest.raises(ConfigError, match="one size a position"):
    DocidShape(num_documents=9, length=2, level_sizes=(10, 10, 20))
  with pytest.raises(ConfigError, match="make 2,000 docids"):
    DocidShape(num_documents=2001, length=3, level_sizes=(10, 10, 20))


def test_the_cache_of_an_adaptor_is_counted():
  pawa = PawaConfig(num_layers=2, num_heads=2)
  docids = DocidShape(num_documents=9, length=3, level_sizes=(10, 10, 20))
  config = docids.model(dataclasses.replace(CONFIG, pawa=pawa))
  sizes = {"queries": 5, "input_length": 7, "num_beams": 6}
  found = memory.search_bytes(config, **sizes)
  plain = memory.search_bytes(dataclasses.replace(config, pawa=None), **sizes)
  assert {name: found[name] for name in plain} == plain
  # 2 layers' keys and values, twice, of 2 heads of 8 in bfloat16.
  assert found["prefix keys and values"] == 2 * 2 * 2 * 5 * 6 * 3 * 2 * 8 * 2
  assert found["prefix-aware head"] == 4 * 5 * 6 * 32 * 20
