"""Weights there and back, through the artifact that training starts from."""

import dataclasses

import numpy as np
import pytest
from flax import traverse_util

from genret.core.docid_table import DocidTable
from genret.core.errors import ArtifactError, ConfigError
from genret.embeddings.bert import BertConfig
from genret.interop import orbax_tree, safetensors_file, t5x_legacy
from genret.interop.weights import Weights
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5, T5Config
from genret.retrieval import model_folder
from genret.retrieval.model_folder import ModelSpec
from genret.stages import convert
from genret.stages.convert import ConvertConfig

GOLDEN = "data/t5x_golden.tar.xz"
FRESH = ("decoder/docid_embedder/embedding", "decoder/logits_dense/kernel")


@pytest.fixture(scope="module")
def golden(tmp_path_factory, request):
  import tarfile

  folder = tmp_path_factory.mktemp("golden")
  with tarfile.open(request.config.rootpath / "tests" / GOLDEN) as file:
    file.extractall(folder, filter="data")
  return folder


@pytest.fixture
def docids(tmp_path):
  table = DocidTable(
    codes=np.array([[2, 3], [2, 4], [5, 2]], np.uint16),
    docnos=["a", "b", "c"],
    vocab_size=6,
    scheme="hand",
  )
  table.save(tmp_path / "docids")
  return tmp_path / "docids"


def arrays(checkpoint):
  leaves = (
    t5x_legacy.read(checkpoint)
    if (checkpoint / "checkpoint").exists()
    else orbax_tree.read(checkpoint / "state")
  )
  return {name: leaf.read() for name, leaf in leaves.items()}


def assert_same(found, expected):
  assert found.keys() == expected.keys()
  for name, array in expected.items():
    assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
    assert found[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("layout", ["legacy", "orbax", "scanned"])
def test_t5x_to_genret_to_t5x_changes_nothing(golden, tmp_path, layout):
  ours = convert.run(ConvertConfig(), golden / layout, out=tmp_path / "ours")
  assert ours.path == tmp_path / "ours"
  assert ours.initialised == ()
  back = convert.run(ConvertConfig(to="t5x"), ours.path, out=tmp_path / "back")
  assert back.path == tmp_path / "back" / "checkpoint_1"
  assert_same(arrays(back.path), arrays(golden / layout / "checkpoint_1"))
  legacy = (back.path / "checkpoint").exists()
  assert legacy == (layout == "legacy")


def test_t5x_to_huggingface_and_back(golden, tmp_path):
  source = golden / "legacy" / "checkpoint_1"
  theirs = convert.run(
    ConvertConfig(to="huggingface"), source, out=tmp_path / "hf"
  )
  back = convert.run(
    ConvertConfig(to="t5x", layout="legacy"), theirs.path, out=tmp_path / "t5x"
  )
  assert back.path.name == "checkpoint_0"
  expected = {
    name: array
    for name, array in arrays(source).items()
    if name.startswith("target/")
  }
  found = arrays(back.path)
  assert found.pop("state/step") == 0
  assert_same(found, expected)


def test_the_optimizer_can_stay_behind(golden, tmp_path):
  config = ConvertConfig(optimizer_state=False)
  convert.run(config, golden / "orbax", out=tmp_path / "ours")
  assert Weights.load(tmp_path / "ours").state == {}
  assert not (tmp_path / "ours" / "optimizer.safetensors").exists()


def test_docids_start_exactly_an_embedding_and_a_head(golden, tmp_path, docids):
  source = golden / "legacy"
  made = convert.run(
    ConvertConfig(), source, docids=docids, out=tmp_path / "ours"
  )
  assert made.initialised == FRESH
  found = Weights.load(tmp_path / "ours")
  assert found.config.docid_vocab_size == 6
  assert found.config.docid_length == 2
  assert found.docids == model_folder.codes_hash(docids)
  assert found.state == {}
  tree = found.tree()
  assert tree["decoder"]["docid_embedder"]["embedding"].shape == (6, 8)
  assert tree["decoder"]["logits_dense"]["kernel"].shape == (8, 128)
  assert tree["decoder"]["logits_dense"]["kernel"].std() > 0
  flat = traverse_util.flatten_dict(tree, sep="/")
  kept = arrays(source / "checkpoint_1")
  for name in flat.keys() - set(FRESH):
    np.testing.assert_array_equal(flat[name], kept[f"target/{name}"])
  ids = np.array([[2, 3]])
  logits = T5(found.config).apply({"params": tree}, ids, ids)
  assert np.isfinite(logits).all()
  # As t5x keeps it, and back: the docids must be said again.
  convert.run(ConvertConfig(to="t5x"), made.path, out=tmp_path / "t5x")
  with pytest.raises(ConfigError, match="--docids"):
    convert.run(ConvertConfig(), tmp_path / "t5x", out=tmp_path / "no")
  back = convert.run(
    ConvertConfig(), tmp_path / "t5x", docids=docids, out=tmp_path / "back"
  )
  assert back.initialised == ()
  assert_same(
    traverse_util.flatten_dict(Weights.load(back.path).tree(), sep="/"), flat
  )


def test_other_docids_are_refused(golden, tmp_path, docids):
  made = convert.run(
    ConvertConfig(), golden / "orbax", docids=docids, out=tmp_path / "ours"
  )
  table = DocidTable.load(docids)
  other = dataclasses.replace(table, codes=np.asarray(table.codes)[::-1])
  other.save(tmp_path / "other")
  with pytest.raises(ConfigError, match="other docids"):
    convert.run(
      ConvertConfig(), made.path, docids=tmp_path / "other", out=tmp_path / "o"
    )


def test_docids_are_refused_by_transformers(golden, tmp_path, docids):
  with pytest.raises(ConfigError, match="one vocabulary"):
    convert.run(
      ConvertConfig(to="huggingface"),
      golden / "orbax",
      docids=docids,
      out=tmp_path / "hf",
    )
  assert not (tmp_path / "hf").exists()


def test_a_second_run_finds_the_first(golden, tmp_path):
  config = ConvertConfig()
  convert.run(config, golden / "legacy", out=tmp_path / "ours")
  path = tmp_path / "ours" / "manifest.json"
  before = path.stat()
  convert.run(config, golden / "legacy", out=tmp_path / "ours")
  after = path.stat()  # reading it may change its time of access
  assert (after.st_ino, after.st_mtime_ns) == (
    before.st_ino,
    before.st_mtime_ns,
  )
  with pytest.raises(ArtifactError, match="input source"):
    convert.run(config, golden / "orbax", out=tmp_path / "ours")


def test_a_folder_of_something_else_is_named(tmp_path):
  with pytest.raises(ArtifactError, match="no weights that genret knows"):
    convert.run(ConvertConfig(), tmp_path, out=tmp_path / "ours")


def test_arrays_of_the_artifact_stay_on_disk(golden, tmp_path):
  convert.run(ConvertConfig(), golden / "legacy", out=tmp_path / "ours")
  leaves = safetensors_file.read(tmp_path / "ours" / "parameters.safetensors")
  assert isinstance(leaves["token_embedder/embedding"].read(), np.memmap)


def model_folder_of(model, folder, docids):
  """Writes a model folder of fresh parameters at step 4; returns these."""
  import jax
  import optax

  from genret.training.checkpoints import Checkpoints
  from genret.training.step import TrainState

  ModelSpec(
    model=model,
    num_symbols=6,
    scheme="hand",
    docids=model_folder.codes_hash(docids),
    input_length=8,
    dev_measure=None,
  ).save(folder)
  ids = np.array([[2, 3]])
  params = T5(model).init(jax.random.key(0), ids, ids)["params"]
  checkpoints = Checkpoints(folder / "checkpoints", measure=None)
  state = TrainState(
    step=jax.numpy.int32(4),
    params=params,
    opt_state=optax.sgd(1.0).init(params),
  )
  checkpoints.save(state, position={}, metrics={})
  checkpoints.close()
  return traverse_util.flatten_dict(params, sep="/")


MODEL = T5Config(
  vocab_size=32,
  emb_dim=8,
  num_heads=2,
  head_dim=4,
  mlp_dim=8,
  num_encoder_layers=1,
  num_decoder_layers=1,
  docid_vocab_size=6,
  docid_length=2,
)


def test_a_model_folder_goes_to_t5x(tmp_path, docids):
  params = model_folder_of(MODEL, tmp_path / "model", docids)
  made = convert.run(
    ConvertConfig(to="t5x"), tmp_path / "model", out=tmp_path / "t5x"
  )
  assert made.path.name == "checkpoint_4"
  found = arrays(made.path)
  assert found.pop("state/step") == 4
  assert_same(found, {f"target/{n}": np.asarray(a) for n, a in params.items()})


def test_a_sentence_encoder_stays_with_genret(tmp_path, docids):
  bert = BertConfig(
    vocab_size=32, emb_dim=8, num_layers=1, num_heads=2, mlp_dim=8
  )
  model = dataclasses.replace(MODEL, encoder=EncoderConfig(bert=bert))
  params = model_folder_of(model, tmp_path / "model", docids)
  for to in ("t5x", "huggingface"):
    with pytest.raises(ConfigError, match=f"no T5 of {to}"):
      convert.run(
        ConvertConfig(to=to), tmp_path / "model", out=tmp_path / "out"
      )
  assert not (tmp_path / "out").exists()
  made = convert.run(ConvertConfig(), tmp_path / "model", out=tmp_path / "out")
  found = Weights.load(made.path)
  assert found.config == model
  assert_same({n: leaf.read() for n, leaf in found.params.items()}, params)


def test_a_model_of_text_docids_takes_others(golden, tmp_path, docids):
  import jax
  import optax

  from genret.training.checkpoints import Checkpoints
  from genret.training.step import TrainState

  first = convert.opened(golden / "legacy")
  tree = first.tree()
  ModelSpec(
    model=dataclasses.replace(first.config, docid_length=2),
    num_symbols=first.config.vocab_size,
    scheme="hand",
    docids="of the text that it was trained on",
    input_length=8,
    dev_measure=None,
  ).save(tmp_path / "model")
  checkpoints = Checkpoints(tmp_path / "model" / "checkpoints", measure=None)
  state = TrainState(
    step=jax.numpy.int32(4),
    params=tree,
    opt_state=optax.sgd(1.0).init(tree),
  )
  checkpoints.save(state, position={}, metrics={})
  checkpoints.close()
  made = convert.run(
    ConvertConfig(), tmp_path / "model", docids=docids, out=tmp_path / "ours"
  )
  assert made.initialised == FRESH
  assert Weights.load(made.path).docids == model_folder.codes_hash(docids)
