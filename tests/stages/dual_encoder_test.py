"""A dual encoder end to end on 64 real documents, and through a stop."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest

from genret.core import artifacts
from genret.core.errors import ArtifactError, ConfigError
from genret.core.runs import read_trec
from genret.models.t5 import T5Config
from genret.retrieval.dual import DualRetriever
from genret.retrieval.muvera import Muvera
from genret.stages import dual_encoder, memorised, retrieve
from genret.stages.dev_queries import DevConfig
from genret.stages.dual_encoder import TrainConfig
from genret.stages.hard_negatives import HardNegatives
from genret.stages.retrieve import RetrieveConfig
from genret.tasks import mixtures
from genret.tasks.indexing import FirstP
from genret.training.checkpoints import Checkpoints
from genret.training.loop import LoopConfig
from genret.training.optimizers import AdamW, Schedule

pytestmark = pytest.mark.usefixtures("compile_once")
CONFIG = TrainConfig(
  model=T5Config(
    emb_dim=16,
    num_heads=2,
    head_dim=8,
    mlp_dim=32,
    num_encoder_layers=1,
    dropout_rate=0.0,
    embedding_init_stddev=0.1,
    residual_init_scale=0.1,
  ),
  mixture=functools.partial(
    mixtures.build, tasks=[FirstP(rate=1.0, num_tokens=14)], input_length=16
  ),
  batch_size=16,
  optimizer=AdamW(schedule=Schedule(peak=0.01, warmup_steps=0)),
  loop=LoopConfig(train_steps=40, eval_every=20),
  dev=DevConfig(measure="RR@10"),
  input_length=16,
  document_length=32,
  negatives=HardNegatives(count=1, depth=4),
  memorised_pairs=100,
)


@pytest.fixture(scope="module")
def model(collection, tmp_path_factory):
  out = tmp_path_factory.mktemp("dual") / "model"
  return dual_encoder.run(CONFIG, collection, out=out)


def test_64_documents_are_found_by_their_first_words(model):
  known = json.loads((model / memorised.FILE).read_text())
  assert known["Hits@1"] == known["Hits@1 firstp"] > 0.95
  assert known["pairs"] == 64
  artifacts.verify(model)
  assert not (model / "tuning").exists()


def test_retrieve_knows_the_folder(model, collection, tmp_path):
  config = RetrieveConfig(split="test", k=5)
  found = retrieve.run(config, model, collection, out=tmp_path / "run.trec")
  run = read_trec(found.path)
  assert {len(hits) for hits in run.values()} == {5}
  assert "genret-dual-encoder" in found.path.read_text()
  with pytest.raises(ConfigError, match="RetrieveConfig.constrained is about"):
    free = dataclasses.replace(config, constrained=False)
    retrieve.run(free, model, collection)
  with pytest.raises(ConfigError, match="one vector a text"):
    muvera = dataclasses.replace(config, muvera=Muvera())
    retrieve.run(muvera, model, collection)
