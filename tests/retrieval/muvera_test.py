"""Fixed-dimensional encodings against their definition, vector by vector."""

import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.models import dual_encoder
from genret.retrieval.muvera import Muvera

RNG = np.random.default_rng(0)


def texts(lengths, width=8):
  out = np.zeros((len(lengths), max(lengths), width), np.float32)
  for row, length in zip(out, lengths, strict=True):
    vectors = RNG.normal(size=(length, width))
    row[:length] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
  return out


def slow(vectors, planes, shorten, *, document):
  """Encodes one text by one repetition."""
  count, bits = 1 << planes.shape[1], planes.shape[1]
  sides = [tuple(int(v @ p > 0) for p in planes.T) for v in vectors]
  blocks = []
  for part in range(count):
    wanted = tuple(part >> i & 1 for i in range(bits))
    inside = [
      v @ shorten for v, s in zip(vectors, sides, strict=True) if s == wanted
    ]
    if not document:
      blocks.append(sum(inside, np.zeros(shorten.shape[1])))
    elif inside:
      blocks.append(sum(inside) / len(inside))
    else:
      apart = [
        sum(a != b for a, b in zip(s, wanted, strict=True)) for s in sides
      ]
      blocks.append(vectors[int(np.argmin(apart))] @ shorten)
  return np.concatenate(blocks)


@pytest.mark.parametrize("dim", [None, 3])
def test_encodings_equal_their_definition(dim):
  muvera = Muvera(hyperplanes=3, repetitions=2, dim=dim)
  lengths = [3, 6, 1]
  vectors = texts(lengths)
  planes, shorten = muvera._chances(8)
  for document in (False, True):
    encode = muvera.documents if document else muvera.queries
    expected = [
      np.concatenate(
        [
          slow(row[:length], planes[r], shorten[r], document=document)
          for r in range(2)
        ]
      )
      for row, length in zip(vectors, lengths, strict=True)
    ]
    np.testing.assert_allclose(encode(vectors), expected, atol=1e-5)
  assert np.shape(expected)[1] == muvera.size(8)


def test_inner_products_choose_the_documents_that_score_best():
  documents = texts([6] * 200)
  queries = documents[:20, :3] + 0.1 * texts([3] * 20)
  queries /= np.linalg.norm(queries, axis=-1, keepdims=True)
  muvera = Muvera(hyperplanes=3, repetitions=30, dim=None)
  found = muvera.queries(queries) @ muvera.documents(documents).T
  exact = np.asarray(dual_encoder.max_sim(queries, documents))
  best = exact.argmax(axis=1)
  assert best.tolist() == list(range(20))
  kept = np.argsort(-found, axis=1)[:, :10]
  assert np.mean([b in row for b, row in zip(best, kept, strict=True)]) > 0.9


def test_an_estimate_of_one_part_is_the_mean_score():
  """Without hyperplanes a document is the mean of its vectors."""
  muvera = Muvera(hyperplanes=0, repetitions=1, dim=None)
  documents, queries = texts([4, 2]), texts([3])
  means = documents.sum(axis=1) / np.array([[4], [2]])
  found = muvera.queries(queries) @ muvera.documents(documents).T
  expected = queries[0].sum(axis=0) @ means.T
  np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_encodings_of_documents_do_not_depend_on_candidates():
  assert Muvera(candidates=7).key == Muvera().key != Muvera(dim=8).key


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"dim": 0}, "Muvera.dim is 0"),
    ({"candidates": 0}, "Muvera.candidates is 0"),
    ({"hyperplanes": 30}, "hyperplanes is 30; expected 0 to 12"),
  ],
)
def test_settings_that_cannot_be_are_refused(given, message):
  with pytest.raises(ConfigError, match=message):
    Muvera(**given)


def test_searches_of_other_settings_have_other_names():
  muvera = Muvera()
  fewer, others = Muvera(candidates=9), Muvera(seed=1)
  assert len({muvera.name, fewer.name, others.name}) == 3
  assert muvera.key == fewer.key != others.key
