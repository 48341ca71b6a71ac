import dataclasses

import jax
import pytest

from genret.models import shapes
from genret.models.sizes import SIZES, PawaConfig, T5Config

# As counted in the released T5.1.1 checkpoints: Keras Hub's presets
# (small, base, xl, xxl) and Hugging Face's safetensors (xl). Of large,
# 783,150,080 is what `transformers` counts in google/t5-v1_1-large.
PUBLISHED = {
  "small": 76_961_152,
  "base": 247_577_856,
  "large": 783_150_080,
  "xl": 2_849_757_184,
  "xxl": 11_135_332_352,
}
MS_MARCO = 8_841_823


def counts(config):
  return shapes.count_by_part(shapes.abstract(config)["params"])


@pytest.mark.parametrize(("size", "published"), PUBLISHED.items())
def test_published_sizes(size, published):
  assert sum(counts(SIZES[size]).values()) == published


def test_parts_of_small_by_hand():
  attention, mlp, norm = 4 * 512 * 384, 3 * 512 * 1024, 512
  relative = 6 * 32
  assert counts(SIZES["small"]) == {
    "text embedding": 32_128 * 512,
    "encoder": 8 * (attention + mlp + 2 * norm) + relative + norm,
    "decoder": 8 * (2 * attention + mlp + 3 * norm) + relative + norm,
    "docid embedding": 0,
    "head": 512 * 32_128,
  }


def test_base_atomic_at_ms_marco_is_as_large_as_the_paper_says():
  """Pradeep et al., 2023, table 5: T5-Base with atomic ids, 7.0B."""
  config = dataclasses.replace(
    SIZES["base"], docid_vocab_size=MS_MARCO + 2, docid_length=1
  )
  found = counts(config)
  assert sum(found.values()) == pytest.approx(7.0e9, rel=0.1)
  assert found["docid embedding"] == 768
  assert found["head"] == 768 * config.head_width


def test_xl_with_docids_of_text_is_as_large_as_the_paper_says():
  """The same table: T5-XL with naive ids, 2.8B."""
  assert sum(counts(SIZES["xl"]).values()) == pytest.approx(2.8e9, rel=0.1)


def test_shapes_are_those_of_real_parameters():
  config = T5Config(
    vocab_size=16,
    emb_dim=8,
    num_heads=2,
    head_dim=4,
    mlp_dim=8,
    num_encoder_layers=1,
    num_decoder_layers=1,
    docid_vocab_size=5,
    docid_length=2,
    head_multiple=8,
  )
  from genret.models.t5 import T5

  tokens = jax.numpy.ones((1, 8), int)
  real = T5(config).init(jax.random.key(0), tokens, tokens)["params"]
  found = shapes.abstract(config)["params"]
  assert jax.tree.map(lambda a: a.shape, real) == jax.tree.map(
    lambda a: a.shape, found
  )
  assert counts(config)["docid embedding"] == 5 * 8


def test_parts_of_a_sentence_encoder_by_hand(encoded_config):
  found = counts(encoded_config)
  layer = 4 * (12 * 12 + 12) + 2 * 12 * 20 + 20 + 12 + 4 * 12
  assert found["encoder"] == 2 * layer + (40 + 10 + 2 + 2) * 12
  assert found["text embedding"] == 40 * 4


def test_parts_of_a_prefix_aware_head_by_hand():
  config = dataclasses.replace(
    SIZES["small"],
    docid_vocab_size=112,
    docid_length=2,
    level_starts=(2, 12),
    pawa=PawaConfig(),
  )
  found = counts(config)
  attention, mlp, norm = 4 * 512 * 384, 3 * 512 * 1024, 512
  assert found["prefix-aware head"] == 512 * 512 * 111  # all but the pad
  assert found["prefix adaptor"] == (
    4 * (attention + mlp + 2 * norm) + norm + 6 * 32 + 512
  )
  plain = counts(dataclasses.replace(config, pawa=None))
  assert {k: found[k] for k in plain} == plain
