import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import ArtifactError, UserError
from genret.decoding.trie import Trie


def padded(docids):
  length = max(map(len, docids))
  return np.array([d + (0,) * (length - len(d)) for d in map(tuple, docids)])


@st.composite
def docid_lists(draw):
  """Prefix-free docids: with EOS, of one length, or merely without nesting."""
  body = st.lists(st.integers(2, 5), min_size=1, max_size=5).map(tuple)
  docids = draw(st.lists(body, min_size=1, max_size=40))
  kind = draw(st.sampled_from(["eos", "fixed", "free"]))
  if kind == "eos":
    return [(*docid, 1) for docid in docids]
  if kind == "fixed":
    return [(docid * 5)[:5] for docid in docids]
  return [
    docid
    for docid in docids
    if not any(o != docid and o[: len(docid)] == docid for o in docids)
  ]


def language(trie):
  """Every prefix the trie knows, and the symbols it allows after it."""
  known = {}

  def visit(prefix, state):
    if state < 0:
      row = tuple(int(s) for s in trie.rows[~state] if s)
      assert row[: len(prefix)] == prefix
      for t in range(len(prefix), len(row)):
        known[row[:t]] = [row[t]]
      return
    assert (
      trie.level_ptr[len(prefix)] <= state < trie.level_ptr[len(prefix) + 1]
    )
    edges = range(trie.indptr[state], trie.indptr[state + 1])
    known[prefix] = [int(trie.symbol[e]) for e in edges]
    for e in edges:
      visit((*prefix, int(trie.symbol[e])), int(trie.child[e]))

  visit((), 0 if trie.num_rows > 1 else ~0)
  return known


@settings(deadline=None)
@given(docid_lists())
def test_compressed_trie_has_the_language_of_the_set_of_prefixes(docids):
  trie = Trie.build(padded(docids), 6)
  expected = {}
  for docid in docids:
    for t, symbol in enumerate(docid):
      expected.setdefault(docid[:t], set()).add(symbol)
  assert language(trie) == {p: sorted(s) for p, s in expected.items()}


@settings(deadline=None)
@given(docid_lists())
def test_rows_are_the_sorted_distinct_docids_and_lead_to_documents(docids):
  codes = padded(docids)
  trie = Trie.build(codes, 6)
  assert trie.rows.tolist() == padded(sorted(set(docids))).tolist()
  for row, docid in enumerate(trie.rows.tolist()):
    same = [i for i, other in enumerate(codes.tolist()) if other == docid]
    assert trie.documents(row).tolist() == same
  assert trie.num_documents == len(docids)


@settings(deadline=None)
@given(docid_lists())
def test_only_prefixes_of_two_or_more_docids_are_nodes(docids):
  trie = Trie.build(padded(docids), 6)
  shared = {}
  for docid in set(docids):
    for t in range(len(docid)):
      shared[docid[:t]] = shared.get(docid[:t], 0) + 1
  counts = [0] * trie.length
  for prefix, count in shared.items():
    counts[len(prefix)] += count > 1
  assert np.diff(trie.level_ptr).tolist() == counts
  assert len(trie.indptr) == sum(counts) + 1
  nodes = trie.child[trie.child >= 0]
  assert nodes.tolist() == list(range(1, len(nodes) + 1))
  assert sorted(~trie.child[trie.child < 0]) == list(
    range(trie.num_rows if trie.num_rows > 1 else 0)
  )


def test_a_trie_worked_by_hand():
  codes = padded([(4, 3, 1), (2, 3, 1), (2, 3, 5, 1), (4, 3, 1), (2, 4, 2, 1)])
  trie = Trie.build(codes, 6)
  # rows: 0 = 2 3 1, 1 = 2 3 5 1, 2 = 2 4 2 1, 3 = 4 3 1
  # nodes: 0 = (), 1 = (2), 2 = (2 3)
  assert trie.symbol.tolist() == [2, 4, 3, 4, 1, 5]
  assert trie.child.tolist() == [1, ~3, 2, ~2, ~0, ~1]
  assert trie.indptr.tolist() == [0, 2, 4, 6]
  assert trie.level_ptr.tolist() == [0, 1, 2, 3, 3]
  assert trie.branching == (2, 2, 2, 1)
  assert trie.documents(3).tolist() == [0, 3]


def test_one_docid_needs_no_node():
  trie = Trie.build(np.array([[3, 2], [3, 2]]), 4)
  assert (trie.num_rows, trie.num_documents, trie.length) == (1, 2, 2)
  assert trie.indptr.tolist() == [0]
  assert trie.child.size == 0
  assert trie.branching == (1, 1)


def test_atomic_docids_hang_below_the_root():
  trie = Trie.build(np.arange(2, 1002)[::-1, None], 1002)
  assert trie.branching == (1000,)
  assert trie.child.tolist() == [~row for row in range(1000)]
  assert trie.documents(0).tolist() == [999]


@pytest.mark.parametrize(
  ("vocab_size", "dtype"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.int32)]
)
def test_symbols_are_as_narrow_as_the_vocabulary_allows(vocab_size, dtype):
  trie = Trie.build(np.array([[vocab_size - 1], [2]]), vocab_size)
  assert trie.rows.dtype == trie.symbol.dtype == dtype
  assert trie.rows.tolist() == [[2], [vocab_size - 1]]


def test_wide_symbols_sort_over_several_key_words():
  rng = np.random.default_rng(0)
  top = (1 << 31) - 1
  codes = rng.choice([2, 3, top - 1, top], (300, 5))
  trie = Trie.build(codes, 1 << 31)
  assert trie.rows.tolist() == sorted(map(list, {*map(tuple, codes.tolist())}))
  assert (codes[trie.order] == trie.rows.repeat(np.diff(trie.doc_ptr), 0)).all()


def test_save_and_load(tmp_path):
  trie = Trie.build(padded([(4, 3, 1), (2, 1), (4, 3, 1)]), 6)
  trie.save(tmp_path / "trie")
  loaded = Trie.load(tmp_path / "trie")
  assert loaded.vocab_size == 6
  assert isinstance(loaded.rows, np.memmap)
  for name in ("rows", "doc_ptr", "order", "symbol", "child", "indptr"):
    want, got = getattr(trie, name), getattr(loaded, name)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
  assert loaded.branching == trie.branching
  Trie.build(np.array([[3]]), 4).save(tmp_path / "single")
  assert Trie.load(tmp_path / "single").num_rows == 1


def test_a_damaged_trie_is_named(tmp_path):
  Trie.build(padded([(4, 3, 1), (2, 1)]), 6).save(tmp_path)
  (tmp_path / "child.npy").write_bytes(b"")
  with pytest.raises(ArtifactError, match="readable trie"):
    Trie.load(tmp_path)
  with pytest.raises(ArtifactError, match="readable trie"):
    Trie.load(tmp_path / "nowhere")
  (tmp_path / "trie.json").write_text('{"format_version": 9, "vocab_size": 6}')
  Trie.build(np.array([[3]]), 4).save(tmp_path / "new")
  (tmp_path / "new" / "trie.json").write_text(
    '{"format_version": 9, "vocab_size": 6}'
  )
  with pytest.raises(ArtifactError, match="format 1, got 9"):
    Trie.load(tmp_path / "new")


@pytest.mark.parametrize(
  ("codes", "message"),
  [
    ([[2, 3], [2, 6]], r"1 of 2 docids have a symbol outside 0..5.*numbers 1$"),
    ([[2, -1], [2, 3]], r"outside 0..5; document numbers 0$"),
    ([[2, 3], [0, 0]], r"empty docid .*numbers 1$"),
    ([[2, 3], [0, 3]], r"empty docid .*numbers 1$"),
    ([[2, 0, 3]] * 5, r"5 of 5 docids have a pad .*numbers 0, 1, 2, …$"),
    ([[2, 3, 1], [2, 1, 3]], r"EOS \(1\) before .*numbers 1$"),
    ([[1, 1]], r"EOS \(1\) before"),
    ([[2, 3], [4, 2], [2, 0]], r"document 2 begins document 0.*EOS"),
    ([2, 3], r"matrix of integers"),
    (np.zeros((0, 3), int), r"matrix of integers"),
    ([[2.0, 3.0]], r"matrix of integers"),
  ],
)
def test_docids_that_make_no_trie_are_refused(codes, message):
  with pytest.raises(UserError, match=message):
    Trie.build(np.array(codes), 6)


def test_an_impossible_vocabulary_is_refused():
  with pytest.raises(UserError, match="vocab_size"):
    Trie.build(np.array([[2]]), (1 << 31) + 1)
