"""Training pairs, sampled and searched with a model that knows few of them."""

import functools
import json

import numpy as np
import pytest

from genret.models.t5 import T5Config
from genret.retrieval.generative import Retriever
from genret.stages import memorised, train
from genret.tasks import mixtures
from genret.tasks.examples import Examples
from genret.tasks.indexing import FirstP
from genret.tasks.retrieval import LabelledQueries
from genret.training.loop import LoopConfig
from genret.training.optimizers import AdamW, Schedule

TASKS = (FirstP(rate=None, num_tokens=12), LabelledQueries(rate=None))
CONFIG = train.TrainConfig(
  model=T5Config(
    emb_dim=16,
    num_heads=2,
    head_dim=8,
    mlp_dim=32,
    num_encoder_layers=1,
    num_decoder_layers=1,
  ),
  mixture=functools.partial(mixtures.build, tasks=TASKS, input_length=24),
  task_feature_lengths={"inputs": 48, "targets": 16},
  batch_size=8,
  optimizer=AdamW(schedule=Schedule(peak=0.01, warmup_steps=0)),
  loop=LoopConfig(train_steps=2, eval_every=2),
  dev=None,
  memorised_pairs=50,
)


def examples_of(rows):
  return Examples.collect(rows, input_length=8)


def test_a_sample_is_spread_over_tasks_in_proportion():
  examples = {
    "long": examples_of([(i, [i + 2]) for i in range(90)]),
    "short": examples_of([(i, [i + 2]) for i in range(10)]),
  }
  pairs = memorised.sample(examples, 20)
  assert pairs.tasks.count("long") == 18 and pairs.tasks.count("short") == 2
  rows = [documents[0] for documents in pairs.documents]
  assert [token[0] - 2 for token in pairs.tokens] == rows
  assert min(np.diff(rows[:18])) >= 4  # evenly
  again = memorised.sample(examples, 20)
  assert again.documents == pairs.documents


def test_all_pairs_are_taken_where_there_are_few():
  pairs = memorised.sample({"a": examples_of([(3, [5]), (4, [6])])}, 2000)
  assert pairs.documents == [(3,), (4,)]


@pytest.fixture(scope="module")
def model(collection, make_docids, tmp_path_factory):
  out = tmp_path_factory.mktemp("memorised") / "model"
  return train.run(CONFIG, collection, make_docids("atomic"), out=out)


def test_a_run_says_what_share_of_its_pairs_it_knows(
  model, collection, make_docids
):
  said = json.loads((model / memorised.FILE).read_text())
  mixture = CONFIG.mixture(collection, make_docids("atomic"))
  examples = memorised.examples_of(mixture)
  assert set(examples) == {"firstp", "labelled"}
  pairs = memorised.sample(examples, 50)
  retriever = Retriever.load(model)
  hits = []
  for tokens, rows in zip(pairs.tokens, pairs.documents, strict=True):
    [[best]] = retriever.search_tokens([tokens.tolist()], k=1, num_beams=10)
    hits.append(best.docno in [collection.docnos[row] for row in rows])
  assert said["pairs"] == 50
  assert said["Hits@1"] == pytest.approx(np.mean(hits))
  assert 0 <= said["Hits@1 firstp"] <= 1


def test_a_finished_run_is_measured_once(model, collection, make_docids):
  path = model / memorised.FILE
  before = path.stat().st_mtime_ns
  docids = make_docids("atomic")
  train.run(CONFIG, collection, docids, out=model)
  assert path.stat().st_mtime_ns == before
  path.unlink()
  train.run(CONFIG, collection, docids, out=model)
  assert json.loads(path.read_text())["pairs"] == 50
