"""Training pairs, sampled and searched with a model that knows few of them."""

import dataclasses
import functools
import json

import numpy as np
import pytest

from genret.core.docid_table import DocidTable
from genret.core.runs import Hit
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


def test_an_input_stands_for_all_documents_that_have_it(monkeypatch):
  monkeypatch.setattr(memorised, "_CHUNK", 7)
  draw = np.random.default_rng(0)
  rows = [
    (i, draw.integers(2, 4, size=draw.integers(1, 7)).tolist())
    for i in range(200)
  ]
  pairs = memorised.sample({"a": examples_of(rows)}, 30)
  for tokens, documents in zip(pairs.tokens, pairs.documents, strict=True):
    same = tuple(i for i, ids in rows if [*ids, 1] == tokens.tolist())
    assert documents == same


@dataclasses.dataclass
class Fixed:
  """A search that always finds the first document of a table."""

  table: DocidTable

  def search_tokens(self, tokens, **_):
    found = [[Hit(docno=self.table.docnos[0], score=0.0)] for _ in tokens]
    return [*found[:-1], []]


def test_documents_of_one_docid_are_one_answer():
  table = DocidTable(
    codes=np.array([[2, 3], [2, 4], [2, 3]]),
    docnos=["a", "b", "c"],
    vocab_size=5,
    scheme="test",
  )
  pairs = memorised.sample(
    {"x": examples_of([(0, [5]), (2, [6]), (1, [7]), (0, [8])])}, 4
  )
  found = memorised.measure(Fixed(table), pairs)
  assert found["Hits@1"] == 0.5  # a and c; not b, and nothing was found of d


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
  said = json.loads(path.read_text())
  assert (said["pairs"], said["count"], said["checkpoint"]) == (50, 50, 2)


@pytest.mark.parametrize("changed", [{"count": 7}, {"checkpoint": 1}])
def test_figures_of_other_pairs_or_checkpoints_do_not_stand(
  changed, model, collection, make_docids
):
  path = model / memorised.FILE
  said = json.loads(path.read_text())
  path.write_text(json.dumps(said | changed | {"Hits@1": -1.0}))
  mixture = CONFIG.mixture(collection, make_docids("atomic"))
  examples = memorised.examples_of(mixture)
  assert memorised.measured(model, examples, 50) == said
