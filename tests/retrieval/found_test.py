"""Documents of rows and of nodes, by the definition."""

import numpy as np
import pytest

from genret.core.docid_table import DocidTable
from genret.core.errors import UserError
from genret.decoding.beam_search import Beams
from genret.decoding.trie import Trie
from genret.retrieval import searcher
from genret.retrieval.found import Documents


@pytest.fixture(scope="module")
def documents(docid_table):
  trie = Trie.build(docid_table.codes, docid_table.vocab_size)
  return Documents(docid_table, trie, tie_seed=3)


def states(trie):
  """Yields every prefix, and the state it leads to."""
  waiting = [((), trie.root)]
  while waiting:
    prefix, state = waiting.pop()
    yield prefix, state
    if state >= 0:
      edges = range(trie.indptr[state], trie.indptr[state + 1])
      waiting += [((*prefix, trie.symbol[e]), trie.child[e]) for e in edges]


def test_what_lies_below_a_prefix_begins_with_it(documents, docid_table):
  seen = 0
  for prefix, state in states(documents.trie):
    begins = docid_table.codes[:, : len(prefix)] == prefix
    expected = {f"d{i}" for i in np.flatnonzero(begins.all(axis=1))}
    count, docnos = documents.below(int(state), most=99)
    assert count == len(docnos) == len(expected)
    assert set(docnos) == expected
    assert documents.below(int(state), most=2) == (count, docnos[:2])
    assert documents.below(int(state), most=0) == (count, ())
    seen += 1
  assert seen == len(docid_table.codes)  # 8 docids and 4 prefixes shared


def test_documents_of_one_docid_are_in_one_order_everywhere(documents):
  ties = searcher.tie_order(12, seed=3)
  row = max(range(8), key=lambda row: len(documents.sharing(row)))
  shared = documents.sharing(row)
  assert sorted(shared.tolist()) == [1, 3, 6, 10, 11]
  assert (np.diff(ties[shared]) > 0).all()
  beams = Beams(
    rows=np.array([[row]]), scores=np.array([[-1.0]]), valid=np.array([[True]])
  )
  names = tuple(f"d{i}" for i in shared)
  hits = documents.hits(beams, 0, k=9)
  assert tuple(hit.docno for hit in hits) == names
  assert documents.below(~row, most=9) == (5, names)


def test_docids_are_looked_up_by_docno(documents):
  assert documents.docid("d0") == "2"
  assert documents.docid("d11") == "3.2"
  for unknown in ("d12", "", "\ud800"):
    with pytest.raises(UserError, match="No document has the docno"):
      documents.docid(unknown)


def test_the_only_docid_is_the_root():
  table = DocidTable(
    codes=np.array([[2, 3]] * 2), docnos="ab", vocab_size=4, scheme="example"
  )
  documents = Documents(table, Trie.build(table.codes, 4), tie_seed=0)
  count, docnos = documents.below(~0, most=5)
  assert (count, sorted(docnos)) == (2, ["a", "b"])
