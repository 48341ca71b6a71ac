"""A run that starts from weights: converted ones, and another run's."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from flax import traverse_util

from genret.core import artifacts
from genret.core.docid_table import DocidTable
from genret.core.errors import ArtifactError, ConfigError
from genret.interop import weights
from genret.interop.leaves import Leaf
from genret.interop.weights import Origin, Weights
from genret.models.t5 import T5, T5Config
from genret.retrieval import model_folder
from genret.retrieval.model_folder import ModelSpec
from genret.stages import convert, train
from genret.stages.convert import ConvertConfig
from genret.stages.initial_weights import InitialWeights
from genret.tasks import mixtures
from genret.tasks.indexing import FirstP
from genret.training.loop import LoopConfig
from genret.training.optimizers import AdamW, Schedule

MODEL = T5Config(
  emb_dim=16,
  num_heads=2,
  head_dim=8,
  mlp_dim=16,
  num_encoder_layers=1,
  num_decoder_layers=1,
  dropout_rate=0.0,
)
CONFIG = train.TrainConfig(
  model=MODEL,
  mixture=functools.partial(
    mixtures.build, tasks=[FirstP(rate=1.0, num_tokens=24)], input_length=25
  ),
  task_feature_lengths={"inputs": 32, "targets": 8},
  batch_size=8,
  # So small a step that parameters stay what they were.
  optimizer=AdamW(
    schedule=Schedule(peak=1e-12, warmup_steps=0), weight_decay=0.0
  ),
  loop=LoopConfig(train_steps=1, eval_every=1),
  dev=None,
  input_length=25,
)
HEAD = dict.fromkeys(weights.FRESH)


def flat(tree):
  return traverse_util.flatten_dict(tree, sep="/")


def initial(model, seed):
  ids = np.ones((1, 2), np.int32)
  init = jax.jit(lambda key: T5(model).init(key, ids, ids)["params"])
  return init(jax.random.key(seed))


@pytest.fixture(scope="module")
def text_weights(tmp_path_factory):
  """Weights of a T5 of text, in half the precision, and their folder."""
  params = {
    name: np.asarray(array, np.float16)
    for name, array in flat(initial(MODEL, 7)).items()
  }
  folder = tmp_path_factory.mktemp("weights") / "converted"
  with artifacts.building(folder, artifacts.Recipe(stage="convert")) as draft:
    Weights(
      config=MODEL,
      params={name: Leaf.of(array) for name, array in params.items()},
      origin=Origin(format="huggingface", step=9),
    ).save(draft)
  return folder, params


@pytest.fixture(scope="module")
def spec(make_docids):
  folder = make_docids("naive")
  table = DocidTable.load(folder)
  model = dataclasses.replace(
    MODEL, docid_vocab_size=table.vocab_size, docid_length=table.length
  )
  return ModelSpec(
    model=model,
    num_symbols=table.vocab_size,
    scheme=table.scheme,
    docids=model_folder.codes_hash(folder),
    input_length=25,
  )


@pytest.fixture(scope="module")
def table(make_docids):
  return DocidTable.load(make_docids("naive"))


def test_all_but_docid_parameters_are_the_weights(
  text_weights, spec, table, capsys
):
  folder, expected = text_weights
  given = initial(spec.model, 0)
  before = {name: np.array(array) for name, array in flat(given).items()}
  shardings = {name: array.sharding for name, array in flat(given).items()}
  made = InitialWeights(folder=folder, table=table, spec=spec).prepare(given)
  assert jax.tree.structure(made) == jax.tree.structure(given)
  for name, array in flat(made).items():
    source = before if name in HEAD else expected
    np.testing.assert_array_equal(array, source[name].astype(np.float32))
    assert array.sharding == shardings[name]
  assert f"step 9; anew: {', '.join(HEAD)}" in capsys.readouterr().out


def test_training_starts_from_them_and_another_run_from_its(
  collection, make_docids, text_weights, tmp_path
):
  folder, expected = text_weights
  config = dataclasses.replace(CONFIG, initial_checkpoint=str(folder))
  docids = make_docids("naive")
  out = train.run(config, collection, docids, out=tmp_path / "first")
  manifest = artifacts.load(out)
  assert manifest.inputs["initial_checkpoint"] == artifacts.identity(folder)
  assert str(folder) not in str(manifest.arguments)
  found = flat(convert.opened(out).tree())
  assert found.keys() == expected.keys() | HEAD.keys()
  for name in found.keys() - HEAD.keys():
    source = expected[name].astype(np.float32)
    np.testing.assert_allclose(found[name], source, rtol=0, atol=1e-10)
  with pytest.raises(ArtifactError, match="initial_checkpoint"):
    train.run(CONFIG, collection, docids, out=out)
  # A model folder of the same docids has its head already.
  config = dataclasses.replace(config, initial_checkpoint=out)
  second = train.run(config, collection, docids, out=tmp_path / "second")
  again = flat(convert.opened(second).tree())
  for name, array in found.items():
    np.testing.assert_allclose(again[name], array, rtol=0, atol=1e-10)


def test_another_shape_is_refused_before_anything_is_written(
  collection, make_docids, text_weights, tmp_path
):
  folder, _ = text_weights
  model = dataclasses.replace(MODEL, emb_dim=32, mlp_dim=2048)
  config = dataclasses.replace(CONFIG, model=model, initial_checkpoint=folder)
  message = "emb_dim is 16 there and 32 here; mlp_dim is 16 there and 2,048"
  with pytest.raises(ConfigError, match=message):
    train.run(config, collection, make_docids("naive"), out=tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_a_head_of_another_width_is_refused(
  text_weights, make_docids, spec, table, tmp_path
):
  folder, _ = text_weights
  made = convert.run(
    ConvertConfig(), folder, docids=make_docids("naive"), out=tmp_path / "w"
  )
  wide = dataclasses.replace(spec.model, head_multiple=256)
  wide = dataclasses.replace(spec, model=wide)
  start = InitialWeights(folder=made.path, table=table, spec=wide)
  with pytest.raises(ConfigError, match="head_multiple as it was there: 128"):
    start.check(tmp_path)


def test_a_run_that_has_begun_reads_no_weights(spec, table, tmp_path):
  start = InitialWeights(folder=tmp_path / "gone", table=table, spec=spec)
  with pytest.raises(ArtifactError, match="no weights"):
    start.check(tmp_path / "out")
  (tmp_path / "out" / model_folder.CHECKPOINTS / "100").mkdir(parents=True)
  start.check(tmp_path / "out")


def test_a_folder_that_is_no_artifact_says_what_to_do(spec, table, tmp_path):
  start = InitialWeights(folder=tmp_path, table=table, spec=spec)
  with pytest.raises(ArtifactError, match="genret convert --source"):
    _ = start.identity
