"""Generators on 64 real passages: folds, kills, encoders of their own."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from genret.core import artifacts
from genret.core import collection as collections
from genret.core.collection import Collection, Document, Query
from genret.core.errors import ArtifactError, ConfigError
from genret.embeddings.bert import BertConfig
from genret.interop.weights import Weights
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5Config
from genret.querygen import folds
from genret.querygen.generator import GeneratorSpec, Request
from genret.querygen.sampling import SamplingConfig
from genret.stages import convert, generate, generator
from genret.stages.generate import GenerateConfig
from genret.stages.generator import GeneratorConfig
from genret.tasks import reversed as reversed_pairs
from genret.tasks.reversed import PairConfig
from genret.training.loop import Loop, LoopConfig
from genret.training.optimizers import AdamW, Schedule

MODEL = T5Config(
  emb_dim=16,
  num_heads=2,
  head_dim=8,
  mlp_dim=16,
  num_encoder_layers=1,
  num_decoder_layers=1,
  embedding_init_stddev=0.1,
)
CONFIG = GeneratorConfig(
  model=MODEL,
  loop=LoopConfig(train_steps=8, eval_every=4),
  pairs=PairConfig(inputs_length=32, targets_length=16),
  folds=2,
  held_out_share=0.2,
  task_feature_lengths={"inputs": 32, "targets": 16},
  batch_size=8,
  optimizer=AdamW(schedule=Schedule(peak=0.03, warmup_steps=2)),
  eval_rows=16,
)

pytestmark = pytest.mark.usefixtures("compile_once")


class Killed(Exception):
  pass


@pytest.fixture(scope="module")
def finished(collection, tmp_path_factory) -> Path:
  out = tmp_path_factory.mktemp("generator") / "out"
  return generator.run(CONFIG, collection, out=out)


def test_each_fold_is_weights_whose_loss_has_fallen(finished):
  artifacts.verify(finished)
  assert GeneratorSpec.load(finished) == CONFIG.spec
  trees = []
  for fold in range(2):
    folder = finished / f"fold_{fold}"
    artifacts.verify(folder)
    losses = [
      p["loss"] for p in json.loads((folder / "curve.json").read_text())
    ]
    assert losses[1] < losses[0] < 10.4  # ln 32,128
    assert convert.opened(folder).config == MODEL
    assert not (folder / "checkpoints").exists()
    trees.append(Weights.load(folder).tree())
  different = jax.tree.map(lambda a, b: (a != b).any(), *trees)
  assert all(jax.tree.leaves(different))


def test_a_fold_never_sees_pairs_of_its_documents(collection, finished):
  run = generator.Run(CONFIG, collection)
  every = reversed_pairs.read(collection, CONFIG.pairs)
  for fold in range(2):
    train, judged = run._parts(fold)
    for part in (train, judged):
      docnos = {collection.docnos[int(row)] for row in part.rows}
      assert docnos
      assert {folds.fold_of(docno, 2) for docno in docnos} == {1 - fold}
    assert not set(train.rows) & set(judged.rows)
    counts = json.loads(
      (finished / f"fold_{fold}" / "summary.json").read_text()
    )
    assert counts["trained_pairs"] == len(train)
    assert counts["held_out_pairs"] == len(judged)
    assert counts["repeating_pairs"] == run._repeating(fold).sum()
  sizes = [sum(map(len, run._parts(fold))) for fold in range(2)]
  repeating = sum(int(run._repeating(fold).sum()) for fold in range(2))
  assert sum(sizes) + repeating == len(every)


def repeating_collection(folder):
  """Documents d0 to d39, and as many pairs; d0 and others say one thing."""
  docnos = [f"d{i}" for i in range(40)]
  near = [d for d in docnos[1:] if folds.fold_of(d, 2) == 0][:2]
  far = [d for d in docnos[1:] if folds.fold_of(d, 2) == 1][:2]
  texts = {d: f"text of {d}" for d in docnos}
  asked = {d: f"question of {d}" for d in docnos}
  texts[near[0]], texts[far[0]] = "The same text", "the  SAME text"
  asked[near[1]], asked[far[1]] = "Who was it?", "who was  IT?"
  recipe = artifacts.Recipe(
    stage="prepare", format_version=collections.FORMAT_VERSION
  )
  with artifacts.building(folder, recipe) as draft:
    collections.write(
      draft,
      documents=[
        Document(docno=d, title="", text=text) for d, text in texts.items()
      ],
      queries=[Query(query_id=f"q{d}", text=t) for d, t in asked.items()],
      qrels={"train": {f"q{d}": {d: 1 + (d == near[0])} for d in docnos}},
    )
  return Collection.open(folder), near, far


def test_a_fold_never_sees_a_question_or_a_text_of_it_elsewhere(tmp_path):
  collection, near, far = repeating_collection(tmp_path / "collection")
  run = generator.Run(CONFIG, collection)
  for fold, repeating in ((0, far), (1, near)):
    seen = {
      collection.docnos[int(row)]
      for part in run._parts(fold)
      for row in part.rows
    }
    others = {d for d in collection.docnos if folds.fold_of(d, 2) != fold}
    assert seen == others - set(repeating)
    assert run._repeating(fold).sum() == 2
  whole = generator.Run(dataclasses.replace(CONFIG, folds=1), collection)
  assert sum(map(len, whole._parts(0))) == 40


def test_only_grades_that_every_model_saw_can_be_asked_for(tmp_path):
  collection, near, _ = repeating_collection(tmp_path / "collection")
  pairs = dataclasses.replace(CONFIG.pairs, grades=True)
  config = dataclasses.replace(CONFIG, pairs=pairs, folds=1)
  (held_out,) = folds.held_out(near[:1], config.held_out_share)
  seen = (1,) if held_out else (1, 2)
  assert generator.Run(config, collection).spec.seen_grades == seen
  config = dataclasses.replace(config, folds=2)
  assert generator.Run(config, collection).spec.seen_grades == (1,)
  assert generator.Run(CONFIG, collection).spec == CONFIG.spec


@pytest.mark.parametrize("after", [1, 3])
def test_going_on_equals_never_stopping(
  after, finished, collection, tmp_path, monkeypatch
):
  judge, calls = Loop._judge, []

  def killed(self, state, step, **options):
    measures = judge(self, state, step, **options)
    calls.append(step)
    if len(calls) == after:
      raise Killed
    return measures

  out = tmp_path / "out"
  with monkeypatch.context() as patched:
    patched.setattr(Loop, "_judge", killed)
    with pytest.raises(Killed):
      generator.run(CONFIG, collection, out=out)
  with pytest.raises(ArtifactError):
    artifacts.load(out)
  generator.run(CONFIG, collection, out=out)
  assert artifacts.identity(out) == artifacts.identity(finished)
  other = dataclasses.replace(CONFIG, folds=3)
  with pytest.raises(ArtifactError, match="folds is"):
    generator.run(other, collection, out=out)


def test_a_start_that_saw_labels_is_warned_of(
  finished, collection, tmp_path, caplog
):
  start = {"initial_checkpoint": finished / "fold_1"}
  generator._warn_of_labels(dataclasses.replace(CONFIG, **start), collection)
  assert "cross-fitting is undone" in caplog.text
  caplog.clear()
  model = tmp_path / "model"
  for stage, identity, warned in (
    ("train", collection.identity, True),
    ("train", "another", False),
    ("pretrain", collection.identity, False),
  ):
    folder = model / f"{stage} {identity[:4]}"
    recipe = artifacts.Recipe(stage=stage, inputs={"collection": identity})
    with artifacts.building(folder, recipe) as draft:
      (draft / "x").write_text("x")
    start = {"initial_checkpoint": folder}
    generator._warn_of_labels(dataclasses.replace(CONFIG, **start), collection)
    assert bool(caplog.records) == warned
    caplog.clear()
  alone = dataclasses.replace(
    CONFIG, folds=1, initial_checkpoint=finished / "fold_1"
  )
  generator._warn_of_labels(alone, collection)
  generator._warn_of_labels(CONFIG, collection)
  assert not caplog.records


def test_a_model_may_start_from_weights(finished, collection):
  config = dataclasses.replace(
    CONFIG, initial_checkpoint=finished / "fold_1", batch_size=1
  )
  run = generator.Run(config, collection)
  assert set(run.recipe().inputs) == {"collection", "initial_checkpoint"}
  fresh = run._program(config.mesh.build(), 0).init_state().params
  jax.tree.map(
    np.testing.assert_array_equal,
    jax.device_get(run._start.prepare(fresh)),
    Weights.load(finished / "fold_1").tree(),
  )


@pytest.mark.slow
def test_a_frozen_encoder_of_its_own_trains_and_writes(collection, tmp_path):
  """It reads word pieces and writes T5's; states of what is frozen are kept."""
  bert = BertConfig(
    emb_dim=16, num_heads=2, mlp_dim=16, num_layers=1, max_positions=64
  )
  config = dataclasses.replace(
    CONFIG,
    folds=1,
    model=dataclasses.replace(
      MODEL, encoder=EncoderConfig(bert=bert, frozen_below=1)
    ),
    pairs=PairConfig(inputs_length=32, targets_length=16, grades=True),
    cache_states=True,
  )
  out = generator.run(config, collection, out=tmp_path / "out")
  curve = json.loads((out / "fold_0" / "curve.json").read_text())
  assert curve[1]["loss"] < curve[0]["loss"]
  assert not (out / "fold_0" / "states").exists()
  how = SamplingConfig(num_queries=2, max_length=4, batch_size=16)
  found = generate.run(
    GenerateConfig(request=Request(how=how, grades=(1,))),
    collection,
    out,
    out=tmp_path / "queries",
  )
  counts = found.summary["counts"]
  assert counts["queries"] + counts.get("empty queries", 0) == 2 * 64


def test_too_few_pairs_and_states_of_nothing(collection, tmp_path):
  few = dataclasses.replace(CONFIG, held_out_share=1e-9)
  with pytest.raises(ConfigError, match="HELD_OUT_SHARE"):
    generator.run(few, collection, out=tmp_path / "few")
  states = dataclasses.replace(CONFIG, cache_states=True)
  with pytest.raises(ConfigError, match="trains all of its encoder"):
    generator.run(states, collection, out=tmp_path / "states")
