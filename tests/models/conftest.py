"""A tiny T5 with a docid vocabulary of its own, and its parameters."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from genret.embeddings.bert import BertConfig
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5, T5Config

CONFIG = T5Config(
  vocab_size=40,
  emb_dim=16,
  num_heads=2,
  head_dim=8,
  mlp_dim=24,
  num_encoder_layers=2,
  num_decoder_layers=2,
  docid_vocab_size=9,
  docid_length=4,
)
ENCODED = dataclasses.replace(
  CONFIG,
  encoder=EncoderConfig(
    bert=BertConfig(
      vocab_size=40,
      emb_dim=12,
      num_layers=2,
      num_heads=2,
      mlp_dim=20,
      max_positions=10,
    ),
    frozen_below=1,
    lexical_dim=4,
    lexical_init_stddev=0.5,
  ),
)


def init(config: T5Config):
  tokens = jnp.ones((1, 4), jnp.int32)
  return T5(config).init(jax.random.key(1), tokens, tokens)["params"]


@pytest.fixture(scope="session")
def config() -> T5Config:
  return CONFIG


@pytest.fixture(scope="session")
def params():
  return init(CONFIG)


@pytest.fixture(scope="session")
def encoded_config() -> T5Config:
  """With a sentence encoder, half of it frozen."""
  return ENCODED


@pytest.fixture(scope="session")
def encoded_params():
  """Of `encoded_config`, but larger than BERT's start, to see differences."""
  params = init(ENCODED)
  return params | {"encoder": jax.tree.map(lambda x: 5 * x, params["encoder"])}
