"""A tiny T5 with random weights, and documents to write queries for."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.models.t5 import T5, T5Config

MODEL = T5Config(
  emb_dim=16,
  num_heads=2,
  head_dim=8,
  mlp_dim=16,
  num_encoder_layers=1,
  num_decoder_layers=1,
  dropout_rate=0.0,
)


@dataclasses.dataclass(frozen=True)
class Model:
  config: T5Config
  params: dict


@pytest.fixture(scope="session")
def model() -> Model:
  ids = jnp.ones((1, 2), jnp.int32)
  params = T5(MODEL).init(jax.random.key(0), ids, ids)["params"]
  return Model(MODEL, params)


@pytest.fixture(scope="session")
def documents(tmp_path_factory) -> Collection:
  """Five documents: one empty, one of 100,000 words."""
  texts = {
    "short": "The wren is a very small bird.",
    "empty": "  ",
    "long": "a word and another " * 25_000,
    "swift": "A red kite steers with its forked tail.",
    "owl": "The barn owl finds a mouse in the dark by ear.",
  }
  root = tmp_path_factory.mktemp("documents") / "documents"
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "documents"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(root, recipe) as draft:
    collection.write(
      draft,
      documents=[
        Document(docno=docno, title="", text=text)
        for docno, text in texts.items()
      ],
      queries=[Query(query_id="q1", text="which bird is small")],
      qrels={"train": {"q1": {"short": 1}}},
    )
  return Collection.open(root)
