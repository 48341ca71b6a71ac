"""Searching by vectors: the same hits whatever the batch, ties in order."""

import dataclasses

import jax
import numpy as np
import pytest

from genret.core import text
from genret.core.collection import Query
from genret.core.errors import ConfigError
from genret.models import dual_encoder
from genret.models.t5 import T5Config
from genret.retrieval.dual import DualRetriever
from genret.retrieval.dual_spec import DualSpec
from genret.retrieval.muvera import Muvera
from genret.tasks.documents import Documents
from genret.tasks.examples import Examples

TEXTS = ["a river", "the sea", "a tall tower", "the sea", "one bridge"]
SPEC = DualSpec(
  model=T5Config(
    emb_dim=8, num_heads=1, head_dim=8, mlp_dim=8, num_encoder_layers=1
  ),
  scoring="mean",
  dim=None,
  temperature=0.1,
  input_length=8,
  document_length=8,
  docnos="",
)
LATE = dataclasses.replace(SPEC, scoring="late")
DOCNOS = [f"d{i}" for i in range(len(TEXTS))]


@pytest.fixture(scope="module")
def documents():
  rows = text.vocabulary("t5").encode(TEXTS, max_length=8, eos=False)
  found = Examples.collect(enumerate(rows), input_length=8)
  return Documents.of(found, len(TEXTS))


@pytest.fixture(scope="module")
def params():
  tokens = np.ones((1, 8), np.int32)
  return SPEC.module.init(jax.random.key(0), tokens, tokens)["params"]


@pytest.fixture
def opened(documents, params):
  def make(spec=SPEC, **given):
    return DualRetriever(spec, documents, DOCNOS, params=params, **given)

  return make


@pytest.mark.parametrize("spec", [SPEC, LATE], ids=["mean", "late"])
def test_hits_are_ranked_by_the_model_s_own_scores(
  spec, opened, documents, params
):
  queries = [Query(query_id=f"q{i}", text=t) for i, t in enumerate(TEXTS[:3])]
  run = opened(spec).run(queries, k=5)
  every = documents.padded(np.arange(len(TEXTS)), 8)
  vectors = spec.module.apply({"params": params}, every, method="vectors")
  scores = np.asarray(dual_encoder.scores(vectors, vectors))
  for i, query in enumerate(queries):
    found = {hit.docno: hit.score for hit in run[query.query_id]}
    expected = [scores[i, DOCNOS.index(docno)] for docno in found]
    np.testing.assert_allclose(list(found.values()), expected, atol=2e-3)
    assert expected == sorted(expected, reverse=True)
    assert scores[i, i] == pytest.approx(1, abs=1e-5)


def test_muvera_with_all_candidates_is_exact(opened):
  tokens = text.vocabulary("t5").encode(TEXTS, max_length=8)
  exact = opened(LATE).search_tokens(tokens, k=3)
  rough = opened(LATE, muvera=Muvera(repetitions=1)).search_tokens(tokens, k=3)
  for ours, theirs in zip(rough, exact, strict=True):
    assert [hit.docno for hit in ours] == [hit.docno for hit in theirs]


def test_other_parameters_are_other_vectors(opened, params):
  other = jax.tree.map(lambda leaf: -leaf[::-1], params)
  tokens = [[5, 6, 1]]
  first = opened().search_tokens(tokens, k=5)
  again = opened().with_params(other).search_tokens(tokens, k=5)
  assert first != again


def test_documents_that_read_the_same_share_a_docid(opened):
  codes = opened().table.codes[:, 0]
  assert codes[1] == codes[3] and len(set(codes.tolist())) == 4


def test_nothing_is_asked(opened):
  assert opened().search_tokens([], k=1) == []


def test_muvera_needs_vectors_of_tokens(opened):
  with pytest.raises(ConfigError, match="one vector a text"):
    opened(muvera=Muvera())
