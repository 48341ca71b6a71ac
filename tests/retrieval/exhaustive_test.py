"""Every docid scored, against a search whose beams are enough for all."""

import copy

import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.retrieval.exhaustive import ExhaustiveSearch
from genret.retrieval.unconstrained import FreeSearch

pytestmark = pytest.mark.usefixtures("compile_once")
QUERIES = ["Who built it?", "tall tower", "rivers and their bridges"]


def test_it_finds_what_beams_for_all_docids_find(retriever):
  other = retriever.with_search(ExhaustiveSearch(retriever.trie))
  found = other.search(QUERIES, k=12, num_beams=12)
  expected = retriever.search(QUERIES, k=12, num_beams=12)
  for ours, theirs in zip(found, expected, strict=True):
    assert [hit.docno for hit in ours] == [hit.docno for hit in theirs]
    np.testing.assert_allclose(
      [hit.score for hit in ours], [hit.score for hit in theirs], atol=1e-5
    )
  assert other.search(QUERIES, k=1, num_beams=12) == [h[:1] for h in found]


def test_beams_become_the_documents_of_a_search(retriever):
  found = retriever.search(QUERIES, k=3, num_beams=12)
  for numbers, beams in retriever.beams(QUERIES, num_beams=12):
    for place, number in enumerate(numbers):
      assert retriever.hits(beams, place, k=3) == found[number]


def test_several_devices_have_no_other_search(retriever):
  shared = copy.copy(retriever)
  shared._mesh = "as if on several devices"
  with pytest.raises(ConfigError, match="of one device"):
    shared.with_search(FreeSearch(retriever.trie))
