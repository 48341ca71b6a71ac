"""Settings of a run of training, and which of them tell runs apart."""

import dataclasses

import pytest

from genret.core.errors import ConfigError
from genret.embeddings import minilm, pieces
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5Config
from genret.stages import train_config
from genret.stages.train_config import TrainConfig
from genret.training.chunked import Chunked
from genret.training.dense_start import DenseStart
from genret.training.lexical_start import LexicalStart
from genret.training.loop import LoopConfig
from genret.training.losses import Loss
from genret.training.partitioning import MeshShape
from genret.training.sampled import Sampled

CONFIG = TrainConfig(
  model=T5Config(),
  mixture="m",
  task_feature_lengths={"inputs": 8, "targets": 2},
  loop=LoopConfig(train_steps=1),
)


def _key(inputs=(), **changes):
  config = dataclasses.replace(CONFIG, **changes)
  return train_config.recipe(
    config, mixture="m", inputs=dict.fromkeys(inputs, "x")
  ).key


@pytest.mark.parametrize(
  "changes",
  [
    {"mesh": MeshShape(fully_sharded=True)},
    {"accumulate": 2},
    {"model": T5Config(remat="full", scan_layers=True)},
    {"loss": Loss(head=Chunked(size=64))},
    {"allow_other_topology": True},
    {"memorised_pairs": 100},
    # Inputs, which the manifest has by their identities.
    {"initial_checkpoint": "folder"},
    {"encoder_weights": minilm.int8},
    {"input_embeddings": pieces.glove},
    # Without embeddings no column starts from one.
    {"dense_start": DenseStart(norm=2.0)},
  ],
)
def test_what_does_not_tell_runs_apart(changes):
  assert _key(**changes) == _key()


@pytest.mark.parametrize(
  ("changes", "inputs"),
  [
    ({"seed": 1}, ()),
    ({"batch_size": 64}, ()),
    ({"loss": Loss(head=Sampled(negatives=8))}, ()),
    ({"lexical_start": LexicalStart()}, ()),
    ({"cache_states": True}, ()),  # a token left out has been read by others
    ({"dense_start": DenseStart(norm=2.0)}, ("embeddings",)),
  ],
)
def test_what_does(changes, inputs):
  assert _key(inputs, **changes) != _key(inputs)


def test_an_input_tells_runs_apart():
  assert _key(("encoder_weights",)) != _key()


def test_parts_of_a_batch_are_equal():
  with pytest.raises(ConfigError, match="accumulate is 3; expected a divisor"):
    dataclasses.replace(CONFIG, batch_size=8, accumulate=3)


def test_queries_are_no_longer_than_an_encoder_knows_places():
  model = T5Config(emb_dim=384, encoder=EncoderConfig())
  with pytest.raises(ConfigError, match="513 are longer than the 512 posi"):
    dataclasses.replace(CONFIG, model=model, input_length=513)
