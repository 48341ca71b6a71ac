import functools

import numpy as np
import pytest

from genret.core import artifacts
from genret.core import collection as collections
from genret.core.collection import Collection
from genret.core.errors import ArtifactError, ConfigError, UserError
from genret.embeddings.store import EmbeddingStore
from genret.models.t5 import T5Config
from genret.retrieval.bm25 import BM25
from genret.retrieval.dense import Dense
from genret.retrieval.generative import Retriever
from genret.stages import searchers, train
from genret.stages.searchers import SearcherConfig
from genret.tasks import mixtures
from genret.tasks.retrieval import LabelledQueries
from genret.training.loop import LoopConfig
from genret.training.optimizers import AdamW, Schedule


def letters():
  """Loads an encoder that counts letters."""
  return lambda texts: np.array(
    [[1 + text.count(c) for c in "aeinorst"] for text in texts], np.float32
  )


def other(collection, folder):
  """The same documents in another order."""
  recipe = artifacts.Recipe(
    stage=collections.STAGE, format_version=collections.FORMAT_VERSION
  )
  with artifacts.building(folder, recipe) as draft:
    collections.write(
      draft,
      documents=reversed(list(collection.documents())),
      queries=[],
      qrels={},
    )
  return Collection.open(folder)


def test_bm25(collection, tmp_path):
  found = searchers.opening(SearcherConfig(), collection)
  queries = list(collection.queries("test"))
  expected = BM25().fit(collection.documents()).search(queries, k=4)
  assert found.load(tmp_path)(queries, 4) == expected
  assert found.arguments["by"] == "bm25" and found.inputs == {}


def test_dense(collection, tmp_path):
  store = EmbeddingStore(
    vectors=letters()([d.contents for d in collection.documents()]),
    docnos=collection.docnos,
  )
  config = SearcherConfig(by="dense", encoder=letters)
  found = searchers.opening(config, collection, embeddings=store)
  queries = list(collection.queries("test"))
  expected = Dense(letters()).fit(store).search(queries, k=4)
  assert found.load(tmp_path)(queries, 4) == expected
  assert found.inputs == {"embeddings": store.identity}
  wrong = other(collection, tmp_path / "other")
  with pytest.raises(UserError, match="another collection"):
    searchers.opening(config, wrong, embeddings=store)


def test_what_is_no_searcher(collection, tmp_path):
  with pytest.raises(ConfigError, match="expected 1 or more"):
    SearcherConfig(num_beams=0)
  with pytest.raises(ConfigError, match="Did you mean 'bm25'"):
    searchers.opening(SearcherConfig(by="bm24"), collection)
  with pytest.raises(ArtifactError, match="is no model folder"):
    searchers.opening(SearcherConfig(by=str(tmp_path)), collection)


@pytest.mark.slow
def test_a_model(collection, make_docids, tmp_path):
  config = train.TrainConfig(
    model=T5Config(
      emb_dim=16,
      num_heads=2,
      head_dim=8,
      mlp_dim=32,
      num_encoder_layers=1,
      num_decoder_layers=1,
    ),
    mixture=functools.partial(
      mixtures.build, tasks=[LabelledQueries(rate=1.0)], input_length=16
    ),
    task_feature_lengths={"inputs": 16, "targets": 1},
    batch_size=4,
    optimizer=AdamW(schedule=Schedule(peak=0.01, warmup_steps=0)),
    loop=LoopConfig(train_steps=2),
    dev=None,
    input_length=16,
  )
  folder = tmp_path / "model"
  train.run(config, collection, make_docids("atomic"), out=folder)
  given = SearcherConfig(by=str(folder), num_beams=6)
  found = searchers.opening(given, collection)
  queries = list(collection.queries("test"))
  expected = Retriever.load(folder).run(queries, k=4, num_beams=6)
  assert found.load(tmp_path)(queries, 4) == expected
  assert found.inputs == {"model": artifacts.identity(folder)}
  wrong = other(collection, tmp_path / "other")
  with pytest.raises(UserError, match="indexes other documents"):
    searchers.opening(given, wrong)
