"""Vectors of documents: those of the encoder, made once."""

import jax
import numpy as np
import pytest

from genret.core.errors import ArtifactError, ConfigError
from genret.models.t5 import T5Config
from genret.retrieval import dual_index
from genret.retrieval.dual_index import Index
from genret.retrieval.dual_spec import DualSpec
from genret.retrieval.muvera import Muvera
from genret.tasks.documents import Documents
from genret.tasks.examples import Examples

COUNT = 70  # more than a batch


@pytest.fixture(scope="module")
def make():
  """Returns an index of documents of one to five words."""
  spec = DualSpec(
    model=T5Config(
      vocab_size=50,
      emb_dim=8,
      num_heads=1,
      head_dim=8,
      mlp_dim=8,
      num_encoder_layers=1,
    ),
    scoring="late",
    dim=4,
    temperature=0.1,
    input_length=8,
    document_length=8,
    docnos="",
  )
  tokens = np.ones((1, 8), np.int32)
  params = spec.module.init(jax.random.key(0), tokens, tokens)["params"]

  def made(folder=None, *, first=2, scale=1.0):
    rows = [(i, [first + i % 40] * (1 + i % 5)) for i in range(COUNT)]
    return Index(
      spec=spec,
      params=jax.tree.map(lambda leaf: scale * leaf, params),
      documents=Documents.of(Examples.collect(rows, input_length=8), COUNT),
      folder=folder,
    )

  return made


def test_each_document_has_the_vectors_of_its_own_tokens(make):
  index = make()
  every = index.documents.padded(np.arange(COUNT), 8)
  expected = index.spec.module.apply(
    {"params": index.params}, every, method="vectors"
  )
  found = index.tokens.padded(np.arange(COUNT))[:, :8]
  np.testing.assert_allclose(found, expected, atol=2e-3)  # float16


def test_what_is_kept_is_not_made_again(make, tmp_path, monkeypatch):
  muvera = Muvera(repetitions=2)
  first = make(tmp_path).encodings(muvera)
  assert first.shape == (COUNT, 2 * 32 * 16)
  monkeypatch.setattr(dual_index, "encoded", None)  # would fail if called
  index = make(tmp_path)
  np.testing.assert_array_equal(index.encodings(muvera), first)
  assert index.tokens.num_documents == COUNT
  names = {path.name for path in (tmp_path / index.key).iterdir()}
  assert names == {"tokens", f"muvera-{muvera.key}"}


def test_other_parameters_or_tokens_are_another_index(make, tmp_path):
  for given in ({}, {"scale": 2.0}, {"first": 3}):
    found = make(tmp_path, **given).tokens.vectors
    expected = make(**given).tokens.vectors
    np.testing.assert_array_equal(found, expected)
  assert len(list(tmp_path.iterdir())) == 3


def test_vectors_go_to_disk_as_they_are_made(make, tmp_path, monkeypatch):
  encoded, there = dual_index.encoded, []

  def watched(*given, **named):
    for part in encoded(*given, **named):
      yield part
      there.append(any(tmp_path.rglob("vectors.npy")))

  monkeypatch.setattr(dual_index, "encoded", watched)
  index = make(tmp_path)
  assert isinstance(index.tokens.vectors, np.memmap)
  assert there == [True, True]  # a batch and the rest


def test_an_index_that_is_not_whole_says_what_to_do(make, tmp_path):
  made = make(tmp_path)
  (tmp_path / made.key / "tokens").mkdir(parents=True)
  with pytest.raises(ArtifactError, match="holds no vectors.*Remove it"):
    made.encodings(Muvera())


def test_a_disk_that_is_full_is_refused_beforehand(tmp_path):
  with pytest.raises(ConfigError, match="need 1,.* GB in .*Make room"):
    dual_index._check_room(tmp_path, 1 << 60)
