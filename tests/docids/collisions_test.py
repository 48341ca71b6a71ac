import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError, UserError
from genret.docids import collisions, positional


def table(codes, **kwargs):
  codes = np.asarray(codes)
  kwargs = {"vocab_size": 10, "scheme": "by hand", **kwargs}
  docnos = [f"d{i}" for i in range(len(codes))]
  return DocidTable(codes=codes, docnos=docnos, **kwargs)


def digits(table):
  """Returns each symbol's number at its level; pads and EOS are below 0."""
  codes = table.codes.astype(int)
  starts = np.array(table.level_starts or [2] * table.length)
  return np.where(codes > 1, codes - starts, codes - 2)


def test_docids_of_one_length_stay_so():
  found = collisions.resolve(table([[2, 4], [2, 3], [2, 4], [2, 4]]), "extra")
  assert found.codes[1].tolist() == [2, 3, 2]
  shared = sorted(found.codes[[0, 2, 3]].tolist())
  assert shared == [[2, 4, 2], [2, 4, 3], [2, 4, 4]]
  assert found.vocab_size == 10


def test_the_symbol_stands_before_the_end():
  codes = [[2, 1, 0], [3, 4, 1], [2, 1, 0], [3, 4, 1], [5, 1, 0]]
  found = collisions.resolve(table(codes), "extra").codes
  assert found[4].tolist() == [5, 1, 0, 0]
  assert sorted(found[[0, 2]].tolist()) == [[2, 10, 1, 0], [2, 11, 1, 0]]
  assert sorted(found[[1, 3]].tolist()) == [[3, 4, 10, 1], [3, 4, 11, 1]]


def test_a_new_level_has_symbols_of_its_own():
  made = table([[2, 5], [3, 6], [2, 5]], level_starts=(2, 4), vocab_size=7)
  found = collisions.resolve(made, "extra")
  assert found.level_starts == (2, 4, 7)
  assert found.vocab_size == 9
  assert found.codes[1].tolist() == [3, 6, 7]
  assert sorted(found.codes[[0, 2]].tolist()) == [[2, 5, 7], [2, 5, 8]]


def test_many_documents_make_a_vocabulary_larger():
  found = collisions.resolve(table([[3]] * 9, vocab_size=4), "extra")
  assert found.vocab_size == 11
  assert sorted(found.codes[:, 1].tolist()) == list(range(2, 11))


def test_text_takes_ids_that_no_text_has():
  codes = [[9, 1]] * 130 + [[8, 1]]
  made = table(codes, text_vocabulary=True, vocab_size=32_128)
  found = collisions.resolve(made, "extra")
  assert found.vocab_size == 32_128
  assert found.codes[-1].tolist() == [8, 1, 0, 0]
  assert (found.codes[:-1, 1:3] >= 32_000).all()
  assert (found.codes[:-1, 3] == 1).all()
  assert not found.collisions()


def test_refusals_name_some():
  made = table([[2], [3], [2], [3], [2], [4], [2], [2], [2]])
  with pytest.raises(UserError) as error:
    collisions.resolve(made, "forbid")
  assert "8 documents share 2 docids (by hand)" in str(error.value)
  assert "'d0', 'd2', 'd4', 'd6', 'd7' and 1 more; 'd1', 'd3'." in str(
    error.value
  )
  alone = table([[2], [3]])
  assert collisions.resolve(alone, "forbid") is alone
  with pytest.raises(ConfigError, match="Did you mean 'share'"):
    collisions.resolve(alone, "shared")


@pytest.mark.parametrize("by_level", [False, True])
def test_memory_is_that_of_the_two_tables(by_level):
  """A copy at 64 bits would be four times the docids."""
  codes = np.random.default_rng(0).integers(2, 200, (1 << 15, 64), np.uint16)
  codes[1] = codes[0]
  made = table(codes, vocab_size=200)
  if by_level:
    made = positional.with_levels(made, widths=[198] * 64)
  numbers, rows = np.zeros(len(codes), int), np.arange(len(codes))
  numbers[1] = 1
  tracemalloc.start()
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(positional, "_BLOCK", 1 << 10)
    found = collisions._lengthened(made, numbers, rows)
  _, most = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert found.length == 65
  assert most < 4 * codes.nbytes


rows = st.lists(
  st.lists(st.integers(2, 4), min_size=1, max_size=3), min_size=1, max_size=20
)


@given(rows, st.booleans(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_policies_do_what_they_say(rows, by_level, seed):
  width = 1 + max(map(len, rows))
  made = table([[*r, 1] + [0] * (width - 1 - len(r)) for r in rows])
  if by_level:
    made = positional.with_levels(made, widths=[4] * width)
  assert collisions.resolve(made, "share") is made
  extra = collisions.resolve(made, "extra", seed=seed)
  extra.check()  # no docid begins another
  assert not extra.collisions()
  groups = made.collisions()
  before, after = digits(made), digits(extra)
  for row, docid in enumerate(rows):
    shared = any(row in group for group in groups)
    assert (after[row] >= 0).sum() == len(docid) + shared
    np.testing.assert_array_equal(
      after[row, : len(docid)], before[row, : len(docid)]
    )
  for group in groups:
    last = sorted(after[row, len(rows[row])] for row in group)
    assert last == list(range(last[0], last[0] + len(group)))
  if groups:
    with pytest.raises(UserError, match=repr(made.docnos[groups[0][0]])):
      collisions.resolve(made, "forbid")


@given(st.lists(st.integers(2, 4), min_size=2, max_size=20))
@settings(max_examples=20, deadline=None)
def test_fixed_lengths_stay_fixed(symbols):
  made = table(np.array(symbols)[:, None])
  extra = collisions.resolve(made, "extra")
  assert (extra.lengths() == extra.length).all()
  assert extra.length == 1 + bool(made.collisions())
  assert not extra.collisions()
