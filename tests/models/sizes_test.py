import dataclasses
import json

import jax
import jax.numpy as jnp
import pytest

from genret.core.errors import ConfigError
from genret.models.sizes import SIZES, PawaConfig, T5Config, size
from genret.models.t5 import T5

# google/t5-v1_1-{small,base,large,xl,xxl} as released; tiny and mini, which
# nobody released in this form, counted by hand below.
PUBLISHED = {
  "small": 76_961_152,
  "base": 247_577_856,
  "large": 783_150_080,
  "xl": 2_849_757_184,
  "xxl": 11_135_332_352,
}


def count(config):
  tokens = jnp.ones((1, 2), jnp.int32)
  model = T5(config)
  shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), tokens, tokens))
  return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_have_the_published_number_of_parameters(name):
  assert count(size(name)) == PUBLISHED[name]


@pytest.mark.parametrize("name", ["tiny", "mini"])
def test_small_sizes_have_what_their_shape_says(name):
  config = size(name)
  width, joined = config.emb_dim, config.num_heads * 64
  attention, mlp = 4 * width * joined, 3 * width * config.mlp_dim
  encoder = 4 * (attention + mlp + 2 * width)
  decoder = 4 * (2 * attention + mlp + 3 * width)
  ends = 2 * (32_128 * width) + 2 * (32 * config.num_heads) + 2 * width
  assert count(config) == encoder + decoder + ends


def test_an_atomic_head_counts_each_document_once():
  table = dataclasses.replace(
    size("tiny"), docid_vocab_size=1_000_002, docid_length=1
  )
  text = size("tiny")
  head = table.head_width * 256
  assert table.head_width == 1_000_064  # the next multiple of 128
  assert count(table) == count(text) - 32_128 * 256 + head + 256


def test_heads_round_up_to_the_multiple_asked_for():
  config = T5Config(docid_vocab_size=300, docid_length=2)
  assert config.head_width == 384
  wider = dataclasses.replace(config, head_multiple=512)
  assert wider.head_width == 512
  assert T5Config().head_width == T5Config().num_symbols == 32_128


def test_the_docid_embedding_has_a_row_for_each_symbol_that_is_read():
  assert T5Config().docid_embeddings == 0
  assert T5Config(docid_vocab_size=9, docid_length=3).docid_embeddings == 9
  assert T5Config(docid_vocab_size=9, docid_length=1).docid_embeddings == 1


def test_an_unknown_size_suggests_the_nearest():
  with pytest.raises(ConfigError, match="'smal'.*small"):
    size("smal")
  assert set(SIZES) == {"tiny", "mini", *PUBLISHED}


def test_an_unknown_dtype_and_a_missing_length_are_refused():
  with pytest.raises(ConfigError, match="float16"):
    T5Config(dtype="float16")
  with pytest.raises(ConfigError, match="docid_length"):
    T5Config(docid_vocab_size=10)


def test_the_width_is_the_encoders(encoded_config):
  with pytest.raises(ConfigError, match="emb_dim is 24 .* 16 numbers"):
    dataclasses.replace(encoded_config, emb_dim=24)


def test_the_encoder_says_what_inputs_are_written_in(config, encoded_config):
  assert config.input_vocabulary == "t5"
  assert encoded_config.input_vocabulary == "bert_uncased"


def test_a_configuration_comes_back_from_json(config, encoded_config):
  for one in (config, encoded_config):
    fields = json.loads(json.dumps(dataclasses.asdict(one)))
    assert T5Config.from_json(fields) == one


def test_a_prefix_aware_head_survives_json():
  config = dataclasses.replace(
    SIZES["tiny"],
    docid_vocab_size=12,
    docid_length=3,
    level_starts=[2, 5, 9],
    pawa=PawaConfig(num_layers=2),
  )
  assert config.level_starts == (2, 5, 9)
  assert config.level_sizes == (3, 4, 3)
  stored = json.loads(json.dumps(dataclasses.asdict(config)))
  assert T5Config.from_json(stored) == config
  assert T5Config.from_json({"emb_dim": 8}).pawa is None


def test_an_adaptor_is_as_the_decoder_but_for_what_is_said():
  pawa = PawaConfig(num_layers=2, mlp_dim=64)
  config = dataclasses.replace(SIZES["tiny"], pawa=pawa)
  shape = config.adaptor
  assert (shape.num_decoder_layers, shape.num_heads) == (2, 4)
  assert (shape.mlp_dim, shape.emb_dim) == (64, 256)
  with pytest.raises(ConfigError, match="num_layers is 0"):
    PawaConfig(num_layers=0)
