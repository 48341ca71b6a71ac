"""Vectors of documents: those of the encoder, made once."""

import jax
import numpy as np
import pytest

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
  rows = [(i, [2 + i % 40] * (1 + i % 5)) for i in range(COUNT)]
  documents = Documents.of(Examples.collect(rows, input_length=8), COUNT)
  tokens = np.ones((1, 8), np.int32)
  params = spec.module.init(jax.random.key(0), tokens, tokens)["params"]
  return lambda folder=None: Index(
    spec=spec, params=params, documents=documents, folder=folder
  )


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
  names = {path.name for path in tmp_path.iterdir()}
  assert names == {"tokens", f"muvera-{muvera.key}"}
