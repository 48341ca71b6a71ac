"""Searching without a trie: with beams enough, what the trie's search finds."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.decoding.trie import Trie
from genret.retrieval import model_folder, unconstrained
from genret.retrieval.generative import Retriever

pytestmark = pytest.mark.usefixtures("compile_once")
QUERIES = ["tall tower", "a river"]
ALL = 6**3  # more beams than there are sequences


@pytest.fixture(scope="module")
def free(model):
  return Retriever.load(model, constrained=False)


def same(found, expected):
  for ours, theirs in zip(found, expected, strict=True):
    assert [hit.docno for hit in ours] == [hit.docno for hit in theirs]
    np.testing.assert_allclose(
      [hit.score for hit in ours], [hit.score for hit in theirs], atol=1e-5
    )


def test_with_all_beams_it_finds_what_the_trie_does(free, retriever):
  found = free.search(QUERIES, k=12, num_beams=ALL)
  same(found, retriever.search(QUERIES, k=12, num_beams=12))


def test_with_few_beams_it_loses_documents_and_not_their_order(free):
  every = free.search(QUERIES, k=12, num_beams=ALL)
  few = free.search(QUERIES, k=12, num_beams=3)
  for some, all_of_them in zip(few, every, strict=True):
    assert len(some) < len(all_of_them)
    docnos = [hit.docno for hit in all_of_them]
    places = [docnos.index(hit.docno) for hit in some]
    assert places == sorted(places)


def test_a_docid_is_one_as_soon_as_it_is_written(model):
  """A tree's docids have several lengths and no EOS."""
  codes = np.array([[2, 0, 0], [3, 2, 0], [3, 3, 4], [3, 3, 5]])
  table = DocidTable(codes=codes, docnos="abcd", vocab_size=6, scheme="by hand")
  spec = model_folder.ModelSpec.load(model)
  _, params = model_folder.load_params(model, spec, "best")
  spec = dataclasses.replace(spec, scheme="by hand")
  both = [
    Retriever(
      spec,
      params,
      table=table,
      trie=Trie.build(codes, 6),
      constrained=constrained,
    )
    for constrained in (True, False)
  ]
  bound, free = (r.search(QUERIES, k=4, num_beams=ALL) for r in both)
  same(free, bound)
  assert all(len(hits) == 4 for hits in free)


@given(
  st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=1),
  st.sampled_from([np.uint16, np.int32]),
)
@settings(max_examples=60, deadline=None)
def test_a_look_up_finds_every_docid_and_nothing_else(docids, dtype):
  rows = np.unique(np.array(docids, dtype), axis=0)
  wanted = np.stack(np.unravel_index(np.arange(7**3), (7, 7, 7)), axis=1)
  numbers = {tuple(row): number for number, row in enumerate(rows.tolist())}
  assert unconstrained.find(rows, wanted).tolist() == [
    numbers.get(tuple(row), -1) for row in wanted.tolist()
  ]
  beyond = wanted + (1 << 16)  # not taken for what fits into 16 bits
  assert (unconstrained.find(rows, beyond) == -1).all()


def test_devices_that_share_a_model_are_refused(model):
  class Two:
    size = 2

  spec = model_folder.ModelSpec.load(model)
  table, trie = model_folder.load_docids(model, spec)
  with pytest.raises(ConfigError, match="one device"):
    Retriever(spec, None, table=table, trie=trie, mesh=Two(), constrained=False)
