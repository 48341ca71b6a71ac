"""Run files of a model trained for two steps: where, and how they read."""

import dataclasses
import functools
import shutil

import jax
import numpy as np
import pytest

from genret.core import artifacts
from genret.core import collection as collections
from genret.core.collection import Collection
from genret.core.errors import ArtifactError, ConfigError, UserError
from genret.core.runs import read_trec
from genret.models.t5 import T5Config
from genret.retrieval.generative import Retriever
from genret.retrieval.muvera import Muvera
from genret.stages import retrieve, train
from genret.stages.retrieve import RetrieveConfig
from genret.tasks import mixtures
from genret.tasks.retrieval import LabelledQueries
from genret.training.loop import LoopConfig
from genret.training.optimizers import AdamW, Schedule
from genret.training.partitioning import MeshShape

pytestmark = pytest.mark.usefixtures("compile_once")
CONFIG = RetrieveConfig(k=5)


def scores(hits):
  """As 32-bit floats, which a run file keeps exactly."""
  return np.array([hit.score for hit in hits], np.float32)


@pytest.fixture(scope="module")
def model(collection, make_docids, tmp_path_factory):
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
      mixtures.build, tasks=[LabelledQueries(rate=1.0)], input_length=32
    ),
    task_feature_lengths={"inputs": 32, "targets": 16},
    batch_size=4,
    optimizer=AdamW(schedule=Schedule(peak=0.01, warmup_steps=0)),
    loop=LoopConfig(train_steps=2),
    dev=None,
    input_length=16,
  )
  out = tmp_path_factory.mktemp("models") / "naive"
  return train.run(config, collection, make_docids("naive"), out=out)


@pytest.fixture(scope="module")
def retrieved(model, collection):
  return retrieve.run(CONFIG, model, collection)


def test_the_run_lies_in_the_model_folder(retrieved, model, collection):
  assert retrieved.path == model / "runs" / "squad-64-test.trec"
  assert retrieved.num_queries == len(collection.qrels("test")) == 8
  assert retrieved.seconds > 0
  assert retrieved.path.read_text().endswith(" genret-naive\n")


def test_the_run_is_what_the_retriever_finds(retrieved, model, collection):
  run = read_trec(retrieved.path)
  queries = list(collection.queries("test"))
  assert list(run) == [query.query_id for query in queries]
  found = Retriever.load(model).run(queries, k=5)
  for query_id, hits in run.items():
    assert [hit.docno for hit in hits] == [h.docno for h in found[query_id]]
    assert np.array_equal(scores(hits), scores(found[query_id]))


def test_split_place_and_checkpoint_can_be_chosen(model, collection, tmp_path):
  config = RetrieveConfig(split="dev", k=5, num_beams=3, checkpoint=2)
  out = tmp_path / "run.trec"
  assert retrieve.run(config, model, collection, out=out).path == out
  run = read_trec(out)
  assert set(run) == set(collection.qrels("dev"))
  assert {len(hits) for hits in run.values()} == {3}


def test_a_mesh_must_divide_the_devices(model, collection):
  config = RetrieveConfig(mesh=MeshShape(model=jax.device_count() + 1))
  with pytest.raises(ConfigError, match="cannot be split"):
    retrieve.run(config, model, collection)


def test_documents_of_another_collection_are_refused(
  model, collection, tmp_path
):
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "other"},
    format_version=collections.FORMAT_VERSION,
  )
  with artifacts.building(tmp_path / "other", recipe) as folder:
    collections.write(
      folder,
      documents=reversed(list(collection.documents())),
      queries=collection.queries("test"),
      qrels={"test": collection.qrels("test")},
    )
  other = Collection.open(tmp_path / "other")
  with pytest.raises(UserError, match="indexes other documents than .* other"):
    retrieve.run(CONFIG, model, other)
  assert not (model / "runs" / "other-test.trec").exists()


def test_what_is_not_there_is_named(model, collection, tmp_path):
  with pytest.raises(UserError, match="Did you mean 'test'"):
    retrieve.run(RetrieveConfig(split="tests"), model, collection)
  with pytest.raises(ConfigError, match="'best', 'newest' or a step"):
    retrieve.run(RetrieveConfig(checkpoint="bset"), model, collection)
  with pytest.raises(ArtifactError, match="no checkpoint of step 7; it has 2"):
    retrieve.run(RetrieveConfig(checkpoint=7), model, collection)
  with pytest.raises(ArtifactError, match="is no model folder"):
    retrieve.run(CONFIG, tmp_path, collection)


def test_a_run_without_checkpoints_is_told_to_train(
  model, collection, tmp_path
):
  untrained = tmp_path / "model"
  shutil.copytree(model, untrained)
  shutil.rmtree(untrained / "checkpoints")
  with pytest.raises(ArtifactError, match="train the model first"):
    retrieve.run(CONFIG, untrained, collection)


@pytest.mark.slow
def test_muvera_has_a_run_file_and_a_tag_of_its_own(
  untrained_dual, collection, tmp_path
):
  folder = tmp_path / "late"
  shutil.copytree(untrained_dual("late"), folder)
  muvera = Muvera(hyperplanes=1, repetitions=1)
  exact, rough = (
    retrieve.run(
      dataclasses.replace(CONFIG, muvera=by), folder, collection
    ).path
    for by in (None, muvera)
  )
  name = f"{collection.name}-test"
  assert exact.name == f"{name}.trec"
  assert rough.name == f"{name}-{muvera.name}.trec"
  assert exact.exists() and rough.exists()
  tags = [p.read_text().split("\n")[0].split()[-1] for p in (exact, rough)]
  scheme = "genret-late-interaction"
  assert tags == [scheme, f"{scheme}-{muvera.name}"]
