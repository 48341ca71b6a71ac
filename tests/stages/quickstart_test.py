"""The whole job on 64 real passages, a few steps each, and once more."""

import dataclasses
import functools
import json

import pytest

from genret.core import artifacts
from genret.core.errors import ArtifactError, ConfigError
from genret.core.runs import read_trec
from genret.corpora import beir
from genret.docids import atomic, naive, semantic
from genret.embeddings.bert import BertConfig
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5Config
from genret.retrieval.bag_of_subwords import BagOfSubwordsConfig
from genret.stages import quickstart
from genret.stages.baselines import BaselinesConfig
from genret.stages.docids import DocidsConfig
from genret.stages.embed import EmbedConfig
from genret.stages.evaluate import EvaluateConfig
from genret.stages.prepare import PrepareConfig
from genret.stages.quickstart import QuickstartConfig, Row
from genret.stages.retrieve import RetrieveConfig
from genret.stages.train import ConfigText, TrainConfig
from genret.tasks import mixtures
from genret.tasks.retrieval import LabelledQueries
from genret.training.loop import LoopConfig
from genret.training.optimizers import AdamW, Schedule

pytestmark = pytest.mark.usefixtures("compile_once")
ROWS = ["bm25", "bag_of_subwords", "atomic", "naive", "semantic"]
MEASURES = ["RR@10", "R@1", "R@10", "R@100"]
TRAIN = TrainConfig(
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
  loop=LoopConfig(train_steps=4, eval_every=2),
  input_length=16,
)
# Reads with a frozen encoder, which has no weights of its own here.
FROZEN = dataclasses.replace(
  TRAIN,
  model=dataclasses.replace(
    TRAIN.model,
    encoder=EncoderConfig(
      bert=BertConfig(emb_dim=16, num_layers=1, num_heads=2, mlp_dim=32),
      frozen_below=1,
    ),
  ),
  cache_states=True,
)


@pytest.fixture(scope="module")
def config(collection, vectors_file) -> QuickstartConfig:
  """Reads the collection of 64 passages as one that was published."""
  return QuickstartConfig(
    prepare=PrepareConfig(
      source=functools.partial(beir.read, collection.root, name="squad-64")
    ),
    baselines=BaselinesConfig(
      bm25_grid=None,
      bm25_expanded=False,
      bag_of_subwords=BagOfSubwordsConfig(
        dim=8, train_steps=4, batch_size=16, eval_period=2
      ),
    ),
    embed=EmbedConfig(vectors=vectors_file),
    rows={
      "atomic": Row(
        docids=DocidsConfig(scheme=atomic.fit),
        train=FROZEN,
        starts_from_vectors=True,
      ),
      "naive": Row(docids=DocidsConfig(scheme=naive.fit), train=TRAIN),
      "semantic": Row(
        docids=DocidsConfig(
          scheme=functools.partial(semantic.fit, k=4, leaf_size=8)
        ),
        train=TRAIN,
        docids_from_vectors=True,
      ),
    },
    retrieve=RetrieveConfig(k=100, num_beams=100),
    evaluate=EvaluateConfig(measures=tuple(MEASURES)),
  )


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
  folder = tmp_path_factory.mktemp("quickstart") / "work"
  text = ConfigText(given="# given", operative="# operative")
  return quickstart.run(config, folder, text=text)


def run_files(finished):
  folder = finished.metrics.parent
  baselines = {row: folder / "baselines" / row / "run.trec" for row in ROWS[:2]}
  return baselines | {
    row: finished.models[row] / "runs" / "squad-64-test.trec"
    for row in ROWS[2:]
  }


def test_every_row_has_its_figures(finished):
  metrics = json.loads(finished.metrics.read_text())
  assert sorted(metrics) == sorted(ROWS)
  assert list(finished.report.evaluations) == ROWS
  for figures in metrics.values():
    assert set(MEASURES) <= figures.keys()
    assert all(0 <= figures[name] <= 1 for name in MEASURES)
    assert figures["num_queries"] == 8
    assert figures["num_unanswered"] == 0
  assert metrics["bm25"]["R@10"] > 0.5  # real questions, so words agree
  for row in ROWS[1:]:
    assert metrics[row]["R@100"] == 1  # 64 documents, all of them ranked


def test_every_row_has_its_run_of_the_test_queries(finished, collection):
  for row, path in run_files(finished).items():
    run = read_trec(path)
    assert set(run) == set(collection.qrels("test")), row
    assert all(len(hits) <= 64 for hits in run.values())


def test_folder_holds_all_parts_and_the_table(finished):
  folder = finished.metrics.parent
  assert {path.name for path in folder.iterdir()} == {
    "baselines",
    "collection",
    "docids",
    "embeddings",
    "evaluation",
    "metrics.json",
    "models",
    "table.txt",
  }
  table = (folder / "table.txt").read_text()
  assert all(name in table for name in [*ROWS, *MEASURES])
  assert finished.report.metrics() == json.loads(finished.metrics.read_text())
  for row, model in finished.models.items():
    assert model == folder / "models" / row
    assert (model / "config.gin").read_text() == "# given"
    assert list(model.glob("events.out.*"))


def test_rows_start_from_vectors_and_read_states_where_they_ask_to(finished):
  made = {row: artifacts.load(path) for row, path in finished.models.items()}
  starting = [row for row in made if "embeddings" in made[row].inputs]
  reading = [row for row in made if made[row].arguments.get("cache_states")]
  assert starting == reading == ["atomic"]
  docids = finished.metrics.parent / "docids"
  inputs = {row: artifacts.load(docids / row).inputs for row in made}
  assert [row for row in made if "embeddings" in inputs[row]] == ["semantic"]


def test_a_second_time_changes_nothing(config, finished):
  kept = [
    *finished.metrics.parent.glob("models/*/checkpoints/*"),
    *finished.metrics.parent.glob("models/*/result.json"),
    *finished.metrics.parent.glob("*/*/manifest.json"),
    *finished.metrics.parent.glob("*/manifest.json"),
  ]
  assert len(kept) > 15
  times = {path: path.stat().st_mtime_ns for path in kept}
  texts = {
    path: path.read_bytes()
    for path in [finished.metrics, *run_files(finished).values()]
  }
  text = ConfigText(given="# given", operative="# operative")
  again = quickstart.run(config, finished.metrics.parent, text=text)
  assert again.report.metrics() == finished.report.metrics()
  assert times == {path: path.stat().st_mtime_ns for path in kept}
  assert texts == {path: path.read_bytes() for path in texts}


def test_other_settings_in_the_same_folder_are_refused(config, finished):
  other = dataclasses.replace(
    config,
    rows={
      "atomic": dataclasses.replace(
        config.rows["atomic"], train=dataclasses.replace(FROZEN, batch_size=2)
      )
    },
  )
  with pytest.raises(ArtifactError, match="batch_size is 4 there and 2 here"):
    quickstart.run(other, finished.metrics.parent)


def test_parts_of_different_splits_are_refused(config):
  with pytest.raises(ConfigError, match="are of dev, test"):
    dataclasses.replace(config, retrieve=RetrieveConfig(split="dev"))
