"""A run that reads the states of a frozen encoder, beside one that runs it."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import (
  EventAccumulator,
)

from genret.core import artifacts
from genret.core.errors import ConfigError
from genret.embeddings.bert import BertConfig
from genret.models import encoders
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5, T5Config
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec
from genret.stages import cached_states, train
from genret.tasks import mixtures
from genret.tasks.host_tensorflow import seqio
from genret.tasks.indexing import FirstP
from genret.tasks.retrieval import LabelledQueries
from genret.training.loop import LoopConfig
from genret.training.optimizers import AdamW, Schedule

BERT = BertConfig(emb_dim=32, num_layers=2, num_heads=2, mlp_dim=64)
MODEL = T5Config(
  encoder=EncoderConfig(
    bert=BERT, frozen_below=1, lexical_dim=32, lexical_init_stddev=1.0
  ),
  emb_dim=64,
  num_heads=2,
  head_dim=16,
  mlp_dim=64,
  num_decoder_layers=1,
  dropout_rate=0.0,
)
STEPS = 12
CONFIG = train.TrainConfig(
  model=MODEL,
  mixture=functools.partial(
    mixtures.build,
    tasks=[FirstP(rate=1.0, num_tokens=24), LabelledQueries(rate=1.0)],
    input_length=32,
  ),
  task_feature_lengths={"inputs": 64, "targets": 8},
  batch_size=8,
  optimizer=AdamW(schedule=Schedule(peak=0.01, warmup_steps=0)),
  loop=LoopConfig(train_steps=STEPS, eval_every=STEPS, log_every=1),
  dev=None,
  input_length=32,
)


def losses(folder) -> np.ndarray:
  events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
  events.Reload()
  found = {
    event.step: float(tf.make_ndarray(event.tensor_proto))
    for event in events.Tensors("loss")
  }
  return np.array([found[step] for step in range(1, STEPS + 1)])


@pytest.fixture(scope="module")
def params():
  model = dataclasses.replace(MODEL, docid_vocab_size=64, docid_length=1)
  tokens = np.ones((1, 4), np.int32)
  init = jax.jit(T5(model).init)
  return init(jax.random.key(0), tokens, tokens[:, :1])["params"]


@pytest.fixture(scope="module")
def mixture(collection, make_docids):
  return CONFIG.mixture(
    collection, make_docids("atomic"), vocabulary="bert_uncased"
  )


def spec_of(model) -> ModelSpec:
  return ModelSpec(
    model=model, num_symbols=64, scheme="atomic", docids="", input_length=32
  )


def opened(mixture, out, *, model=MODEL, shared=None):
  return cached_states.opened(
    True, mixture, spec_of(model), out=out, shared=shared
  )


def test_losses_are_those_of_a_run_that_computes_all(
  collection, make_docids, tmp_path, capsys
):
  folder = make_docids("atomic")
  outs = {}
  for cached in (False, True):
    config = dataclasses.replace(CONFIG, cache_states=cached)
    outs[cached] = train.run(
      config, collection, folder, out=tmp_path / str(cached)
    )
    said = "states of " in capsys.readouterr().out
    assert said == cached
  computed, read = (losses(outs[cached]) for cached in (False, True))
  assert abs(computed[-1] - computed[0]) > 0.1
  np.testing.assert_allclose(read, computed, rtol=2e-3)
  assert not (read == computed).all()  # rounded to float16
  assert not (outs[True] / cached_states.FOLDER).exists()
  arguments = [artifacts.load(out).arguments for out in outs.values()]
  assert arguments[1] == arguments[0] | {"cache_states": True}
  questions = [query.text for query in collection.queries("dev")]
  first, second = (
    Retriever.load(out).search(questions, k=1) for out in outs.values()
  )
  agreeing = [
    a.docno == b.docno for [a], [b] in zip(first, second, strict=True)
  ]
  assert np.mean(agreeing) > 0.8


def test_states_are_what_the_frozen_part_says_of_each_input(
  mixture, params, tmp_path
):
  states = opened(mixture, tmp_path)
  states.fill(params)
  found = states.source()
  assert set(found) == {task.name for task in mixture.tasks}
  tokens = sum(len(examples.tokens) for examples in found.values())
  assert states.num_bytes == tokens * BERT.emb_dim * 2
  files = tmp_path.glob(f"{cached_states.FOLDER}/*/*.float16")
  assert sum(path.stat().st_size for path in files) == states.num_bytes
  alone = jax.jit(lambda t: encoders.frozen_states(params, MODEL, t))
  for examples in found.values():
    for i in range(0, examples.num_examples, 19):
      first, last = examples.offsets[i : i + 2]
      padded = np.zeros((1, 32), np.int32)
      padded[0, : last - first] = examples[i]
      np.testing.assert_allclose(
        examples.states[first:last],
        np.asarray(alone(padded))[0, : last - first],
        rtol=1e-3,
        atol=1e-3,
      )
  states.remove()
  assert not any(tmp_path.iterdir())


def test_states_of_other_parameters_are_not_taken(mixture, params, tmp_path):
  opened(mixture, tmp_path).fill(params)
  folders = set(tmp_path.glob(f"{cached_states.FOLDER}/*"))
  assert len(folders) == len(mixture.tasks)
  other = jax.tree.map(lambda x: x, params)
  layer = other["encoder"]["bert"]["layers_1"]["mlp"]["wi"]
  layer["kernel"] = layer["kernel"] + 1  # is trained
  opened(mixture, tmp_path).fill(other)
  assert set(tmp_path.glob(f"{cached_states.FOLDER}/*")) == folders
  layer = other["encoder"]["bert"]["layers_0"]["mlp"]["wi"]
  layer["kernel"] = layer["kernel"] + 1
  opened(mixture, tmp_path).fill(other)
  assert len(set(tmp_path.glob(f"{cached_states.FOLDER}/*")) - folders) == len(
    mixture.tasks
  )


def test_runs_of_other_docids_read_the_same_states(
  collection, make_docids, mixture, params, tmp_path, monkeypatch
):
  shared = tmp_path / "shared"
  first = opened(mixture, tmp_path, shared=shared)
  first.fill(params)
  first.remove()
  naive = CONFIG.mixture(
    collection, make_docids("naive"), vocabulary="bert_uncased"
  )
  monkeypatch.setattr(cached_states, "_encode", None)  # nothing is computed
  second = opened(naive, tmp_path, shared=shared)
  second.fill(params)
  pairs = zip(first.source().values(), second.source().values(), strict=True)
  assert all((a.states == b.states).all() for a, b in pairs)


def test_a_folder_for_states_that_are_not_kept_is_a_mistake(mixture, tmp_path):
  with pytest.raises(ConfigError, match="--cache_states"):
    cached_states.opened(
      False, mixture, spec_of(MODEL), out=tmp_path, shared=tmp_path
    )


def test_a_run_that_does_not_want_states_has_none(mixture, tmp_path):
  states = cached_states.opened(False, mixture, spec_of(MODEL), out=tmp_path)
  states.fill(None)
  states.remove()
  assert states.source is None and states.num_bytes == 0
  assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
  "model",
  [
    T5Config(),
    dataclasses.replace(
      MODEL, encoder=dataclasses.replace(MODEL.encoder, frozen_below=None)
    ),
  ],
)
def test_nothing_frozen_is_nothing_to_keep(mixture, tmp_path, model):
  with pytest.raises(ConfigError, match="trains all of its encoder"):
    opened(mixture, tmp_path, model=model)


def test_texts_that_stream_by_are_refused(tmp_path):
  streaming = seqio.Task(
    "cached_states_test",
    source=seqio.FunctionDataSource(
      lambda split, shuffle_files: None, splits=["train"]
    ),
    output_features={},
    preprocessors=[],
  )
  with pytest.raises(ConfigError, match="no end of texts to encode once"):
    opened(streaming, tmp_path)
