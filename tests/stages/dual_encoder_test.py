"""A dual encoder end to end on 64 real documents, and through a stop."""

import dataclasses
import functools
import json
import shutil

import jax
import pytest

from genret.core import artifacts
from genret.core.errors import ConfigError
from genret.core.runs import read_trec
from genret.embeddings.bert import BertConfig
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5Config
from genret.retrieval.dual import DualRetriever
from genret.retrieval.dual_spec import DualSpec
from genret.retrieval.muvera import Muvera
from genret.stages import dual_encoder, memorised, retrieve, searchers
from genret.stages.dev_queries import DevConfig
from genret.stages.dual_encoder import TrainConfig
from genret.stages.hard_negatives import HardNegatives
from genret.stages.retrieve import RetrieveConfig
from genret.stages.searchers import SearcherConfig
from genret.tasks import mixtures
from genret.tasks.indexing import FirstP
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


def test_a_run_goes_on_bit_by_bit(model, collection, tmp_path):
  """As if it had been killed between its two checkpoints."""
  out = tmp_path / "model"
  shutil.copytree(model, out)
  for name in ("manifest.json", "provenance.json", "result.json"):
    (out / name).unlink()
  shutil.rmtree(out / "checkpoints" / "40")
  dual_encoder.run(CONFIG, collection, out=out)
  again = json.loads((out / "result.json").read_text())
  assert again == json.loads((model / "result.json").read_text())
  assert artifacts.identity(out) == artifacts.identity(model)


def test_it_searches_by_name_as_other_models_do(model, collection, tmp_path):
  config = SearcherConfig(by=str(model))
  opening = searchers.opening(config, collection)
  queries = list(collection.queries("test"))
  run = opening.load(tmp_path)(queries, 3)
  assert [len(run[query.query_id]) for query in queries] == [3] * len(queries)
  with pytest.raises(ConfigError, match="RetrieveConfig.scoring is about"):
    raw = dataclasses.replace(config, scoring="raw")
    searchers.opening(raw, collection)


def test_parameters_are_where_they_are_used(model, collection):
  loaded = DualRetriever.load(model, collection)
  leaves = jax.tree.leaves(loaded._params)
  assert leaves and all(isinstance(leaf, jax.Array) for leaf in leaves)


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


FROZEN = dataclasses.replace(
  CONFIG,
  model=T5Config(
    emb_dim=24,
    dropout_rate=0.0,
    encoder=EncoderConfig(
      bert=BertConfig(emb_dim=16, num_heads=2, mlp_dim=32, num_layers=2),
      frozen_below=1,
      lexical_dim=8,
    ),
  ),
  loop=LoopConfig(train_steps=4, eval_every=4),
  scoring="late",
  dim=8,
  memorised_pairs=0,
)


@pytest.mark.slow
def test_a_trial_that_was_finished_reads_states_as_well(collection, tmp_path):
  """As if a run had been killed before it noted what its trial came to."""
  config = dataclasses.replace(
    FROZEN, cache_states=True, scoring="mean", tuning_steps=1, negatives=None
  )
  trials, states = [], []
  for _ in range(2):
    work = dual_encoder._Work(config, collection, tmp_path, states=None)
    trials.append(work.attempt(0.1))
    states += [one.states for one in work.states.source().values()]
  assert trials[0] == trials[1]
  assert all(found is not None for found in states)


@pytest.fixture(scope="module")
def late(collection, tmp_path_factory):
  """Late interaction over a frozen layer whose states are kept."""
  folder = tmp_path_factory.mktemp("late")
  config = dataclasses.replace(FROZEN, cache_states=True)
  out = folder / "model"
  dual_encoder.run(config, collection, out=out, states=folder / "states")
  return out


@pytest.mark.slow
def test_states_are_kept_where_they_were_asked_for(late):
  assert len(list((late.parent / "states").iterdir())) == 2
  assert not (late / "states").exists()


@pytest.mark.slow
def test_the_best_temperature_on_dev_is_taken(collection, tmp_path):
  config = dataclasses.replace(CONFIG, temperatures=(0.1, 0.3), tuning_steps=2)
  out = dual_encoder.run(config, collection, out=tmp_path / "model")
  tried = json.loads((out / "tuning.json").read_text())
  assert set(tried) == {"0.1", "0.3"}
  best = max(tried, key=lambda t: tried[t]["measures"]["RR@10"])
  assert DualSpec.load(out).temperature == float(best)
  assert min(trial["cpu_seconds"] for trial in tried.values()) > 0
  assert not (out / "tuning").exists()


@pytest.mark.slow
def test_muvera_with_all_candidates_writes_the_same_run(
  late, collection, tmp_path
):
  exact = RetrieveConfig(split="test", k=5)
  muvera = Muvera(hyperplanes=3, repetitions=5, candidates=64)
  rough = dataclasses.replace(exact, muvera=muvera)
  runs = [
    retrieve.run(config, late, collection, out=tmp_path / name).path
    for name, config in (("exact", exact), ("rough", rough))
  ]
  docnos = [
    [[hit.docno for hit in hits] for hits in read_trec(path).values()]
    for path in runs
  ]
  assert docnos[0] == docnos[1]
  [index] = (late / "index" / "4").iterdir()
  names = {path.name.split("-")[0] for path in index.iterdir()}
  assert names == {"tokens", "muvera"}
