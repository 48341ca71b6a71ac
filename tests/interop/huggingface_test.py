"""Our T5 against `transformers`' on the same weights, stored and live."""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from genret.core.errors import ArtifactError, ConfigError
from genret.interop import huggingface
from genret.interop import shapes as shapes_module
from genret.models.stepper import T5Stepper
from genret.models.t5 import T5, T5Config

ROOT = Path(__file__).parents[2]
CONFIG = T5Config(
  vocab_size=64,
  emb_dim=16,
  num_heads=3,
  head_dim=8,
  mlp_dim=24,
  num_encoder_layers=2,
  num_decoder_layers=2,
  docid_length=6,
)
TOKENS = jnp.ones((1, 4), jnp.int32)


@pytest.fixture(scope="module")
def golden():
  return dict(np.load(ROOT / "tests" / "data" / "t5_golden.npz"))


@pytest.fixture(scope="module")
def live():
  """The same, computed by the torch that is installed."""
  pytest.importorskip("torch", reason="torch is no part of genret[test]")
  pytest.importorskip("transformers", reason="no part of genret[test]")
  sys.path.insert(0, str(ROOT / "tools"))
  import make_t5_golden

  return make_t5_golden.make()


@pytest.fixture(scope="module")
def shapes():
  model = T5(CONFIG)
  return jax.eval_shape(
    lambda: model.init(jax.random.key(0), TOKENS, TOKENS)["params"]
  )


def weights_of(values):
  return {
    name.removeprefix("weights/"): value
    for name, value in values.items()
    if name.startswith("weights/")
  }


def check_whole(values, shapes):
  params = huggingface.from_huggingface(weights_of(values), shapes)
  logits = T5(CONFIG).apply(
    {"params": params}, values["inputs"], values["decoder_inputs"]
  )
  np.testing.assert_allclose(
    logits[..., : CONFIG.vocab_size], values["logits"], atol=1e-4
  )


def check_steps(values, shapes):
  params = huggingface.from_huggingface(weights_of(values), shapes)
  stepper = T5Stepper.create(params, CONFIG)
  cache = stepper.start(stepper.encode(jnp.asarray(values["inputs"])))
  parents = jnp.zeros((3, 1), jnp.int32)
  for t in range(6):
    symbols = jnp.asarray(values["decoder_inputs"][:, t : t + 1, None])
    hidden, cache = stepper.step(cache, parents, symbols, t)
    np.testing.assert_allclose(
      stepper.logits(hidden[:, 0, 0], t)[:, : CONFIG.vocab_size],
      values["steps"][:, t],
      atol=1e-4,
    )


def test_whole_passes_equal_the_stored_ones(golden, shapes):
  check_whole(golden, shapes)


def test_steps_equal_the_stored_ones(golden, shapes):
  check_steps(golden, shapes)


def test_whole_passes_equal_torch(live, shapes):
  check_whole(live, shapes)


def test_steps_equal_torch(live, shapes):
  check_steps(live, shapes)


def test_there_and_back_changes_no_bit(golden, shapes):
  weights = weights_of(golden)
  params = huggingface.from_huggingface(weights, shapes)
  back = huggingface.to_huggingface(params)
  assert back.keys() == weights.keys()
  for name, value in back.items():
    np.testing.assert_array_equal(value[: len(weights[name])], weights[name])


def test_safetensors_are_read_as_they_were_saved(golden, tmp_path):
  safetensors = pytest.importorskip("safetensors.numpy")
  path = tmp_path / "model.safetensors"
  safetensors.save_file(weights_of(golden), path)
  read = huggingface.read_safetensors(path)
  assert read.keys() == weights_of(golden).keys()


def test_a_missing_weight_is_named(golden, shapes):
  weights = weights_of(golden)
  del weights["encoder.block.1.layer.0.SelfAttention.q.weight"]
  with pytest.raises(ArtifactError, match=r"block\.1\.layer\.0"):
    huggingface.from_huggingface(weights, shapes)


def test_a_weight_of_another_shape_is_named(golden, shapes):
  weights = weights_of(golden) | {"shared.weight": np.zeros((3, 16))}
  with pytest.raises(ArtifactError, match=r"shared\.weight.*\[3, 16\]"):
    huggingface.from_huggingface(weights, shapes)


@pytest.fixture
def folder(golden, tmp_path):
  """A folder as `transformers` saves one: in two files, with duplicates."""
  safetensors = pytest.importorskip("safetensors.numpy")
  weights = weights_of(golden)
  weights["encoder.embed_tokens.weight"] = weights["shared.weight"]
  weights["decoder.embed_tokens.weight"] = weights["shared.weight"]
  half = len(weights) // 2
  files = {"a.safetensors": {}, "b.safetensors": {}}
  for i, (name, value) in enumerate(weights.items()):
    file = "a.safetensors" if i < half else "b.safetensors"
    files[file][name] = value
  for name, part in files.items():
    safetensors.save_file(part, tmp_path / name)
  places = {name: file for file, part in files.items() for name in part}
  (tmp_path / "model.safetensors.index.json").write_text(
    json.dumps({"weight_map": places})
  )
  return tmp_path


def test_a_folder_is_read_under_our_names(golden, shapes, folder):
  assert huggingface.is_model(folder)
  found = huggingface.read(folder)
  weights = weights_of(golden)
  params = huggingface.from_huggingface(weights, shapes)
  flat = traverse_util.flatten_dict(params, sep="/")
  assert found.keys() == flat.keys()
  for name, leaf in found.items():
    value = leaf.read()
    assert leaf.shape == value.shape
    real = flat[name][:, : value.shape[1]] if "logits" in name else flat[name]
    np.testing.assert_array_equal(value, real)


def test_what_is_written_is_what_was_read(golden, folder, tmp_path):
  params = huggingface.read(folder)
  out = tmp_path / "out"
  out.mkdir()
  config = shapes_module.config_of(params)
  huggingface.write(out, config, params)
  found = huggingface.read_safetensors(out / "model.safetensors")
  weights = weights_of(golden)
  assert found.keys() == weights.keys()
  for name, value in weights.items():
    np.testing.assert_array_equal(found[name], value)


def test_transformers_loads_what_is_written(folder, tmp_path, golden):
  torch = pytest.importorskip("torch", reason="no part of genret[test]")
  transformers = pytest.importorskip(
    "transformers", reason="torch's; no part of genret[test]"
  )
  params = huggingface.read(folder)
  out = tmp_path / "out"
  out.mkdir()
  huggingface.write(out, shapes_module.config_of(params), params)
  model = transformers.T5ForConditionalGeneration.from_pretrained(out).eval()
  inputs = torch.tensor(golden["inputs"])
  with torch.no_grad():
    logits = model(
      input_ids=inputs,
      attention_mask=(inputs > 0).long(),
      decoder_input_ids=torch.tensor(golden["decoder_inputs"]),
    ).logits
  np.testing.assert_allclose(logits.numpy(), golden["logits"], atol=1e-4)


def test_an_own_vocabulary_is_refused(tmp_path):
  config = dataclasses.replace(CONFIG, docid_vocab_size=9)
  with pytest.raises(ConfigError, match="one vocabulary"):
    huggingface.write(tmp_path, config, {})
  assert not huggingface.is_model(tmp_path)
