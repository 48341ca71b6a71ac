"""A model folder is read whole, or one sentence says what is wrong."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from genret.core.errors import ArtifactError, ConfigError
from genret.models.encoder_config import EncoderConfig
from genret.models.t5 import T5Config
from genret.retrieval import model_folder
from genret.retrieval.generative import Retriever
from genret.retrieval.model_folder import ModelSpec

SPEC = ModelSpec(
  model=T5Config(
    dtype="bfloat16",
    dropout_rate=0.05,
    docid_vocab_size=12,
    docid_length=7,
    cross_copies_at_init=True,
  ),
  num_symbols=12,
  scheme="semantic",
  docids="0" * 64,
  input_length=48,
  scoring="renormalised",
  dev_measure=None,
  tie_seed=9,
)


@pytest.fixture
def copy(model, tmp_path):
  """The model folder, free to be damaged."""
  return shutil.copytree(model, tmp_path / "model")


def damage(folder, **fields):
  path = folder / model_folder.MODEL
  path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_spec_comes_back_as_it_was(tmp_path):
  SPEC.save(tmp_path)
  assert ModelSpec.load(tmp_path) == SPEC


def test_a_model_of_text_docids_comes_back_too(tmp_path):
  spec = dataclasses.replace(SPEC, model=T5Config(), num_symbols=32_128)
  spec.save(tmp_path)
  assert ModelSpec.load(tmp_path) == spec


def test_a_model_with_a_sentence_encoder_comes_back_too(tmp_path):
  encoder = EncoderConfig(frozen_below=6, lexical_dim=128)
  model = T5Config(emb_dim=512, encoder=encoder)
  spec = dataclasses.replace(SPEC, model=model)
  spec.save(tmp_path)
  assert ModelSpec.load(tmp_path) == spec


@pytest.mark.parametrize(
  "text",
  [
    "",
    '{"format_version": 1, "mo',
    "[]",
    "null",
    '{"format_version": 1}',
    '{"format_version": 1, "model": {"emb_dims": 3}}',
    '{"format_version": 1, "model": {}, "scheme": "atomic"}',
  ],
)
def test_a_damaged_spec_is_said_to_be(tmp_path, text):
  (tmp_path / model_folder.MODEL).write_text(text)
  with pytest.raises(ArtifactError, match=r"model\.json is damaged"):
    ModelSpec.load(tmp_path)


def test_an_unknown_field_is_named(copy):
  damage(copy, scorings="raw")
  with pytest.raises(ArtifactError, match="is damaged: .*'scorings'"):
    Retriever.load(copy)


def test_a_folder_without_a_spec_is_no_model_folder(tmp_path):
  for folder in (tmp_path, tmp_path / "nowhere"):
    with pytest.raises(ArtifactError, match="is no model folder.*genret train"):
      Retriever.load(folder)


@pytest.mark.parametrize("fields", [{}, {"a_field_of_later_days": 1}])
def test_another_format_is_named(copy, fields):
  damage(copy, format_version=2, **fields)
  with pytest.raises(ArtifactError, match="has format 2; this genret reads 1"):
    Retriever.load(copy)


def test_other_docids_than_the_model_s_are_refused(copy):
  path = copy / model_folder.DOCIDS / "codes.npy"
  codes = np.load(path)
  codes[0] = [2, 2, 1]
  np.save(path, codes)
  with pytest.raises(ArtifactError, match="holds other docids"):
    Retriever.load(copy)


@pytest.mark.parametrize("part", ["docids", "trie", "checkpoints"])
def test_a_missing_part_is_named(copy, part):
  shutil.rmtree(copy / part)
  with pytest.raises(ArtifactError, match=part):
    Retriever.load(copy)


def test_a_folder_that_holds_no_whole_checkpoint(copy):
  shutil.rmtree(copy / "checkpoints")
  (copy / "checkpoints").mkdir()
  with pytest.raises(ArtifactError, match="no whole checkpoint yet"):
    Retriever.load(copy)


def test_checkpoints_are_found_by_name_and_step(model):
  spec = ModelSpec.load(model)
  steps, embeddings = {}, {}
  for name in ("best", "newest", 2):
    steps[name], params = model_folder.load_params(model, spec, name)
    assert isinstance(jax.tree.leaves(params)[0], np.ndarray)
    embeddings[name] = params["token_embedder"]["embedding"]
  assert steps == {"best": 1, "newest": 3, 2: 2}
  for name, factor in (("newest", 1.2), (2, 1.1)):
    np.testing.assert_allclose(
      embeddings[name], np.float32(factor) * embeddings["best"], rtol=1e-6
    )


def test_best_is_newest_where_nothing_was_measured(model):
  spec = dataclasses.replace(ModelSpec.load(model), dev_measure=None)
  assert model_folder.load_params(model, spec, "best")[0] == 3


def test_unknown_checkpoints_are_named(model):
  with pytest.raises(ArtifactError, match="of step 7; it has 1, 2, 3"):
    Retriever.load(model, checkpoint=7)
  with pytest.raises(
    ConfigError, match="checkpoint is 'last'; expected 'best'"
  ):
    Retriever.load(model, checkpoint="last")
