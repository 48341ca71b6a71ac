import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.docids import lexical, naive, positional, semantic
from genret.docids.corpus import Listed


def test_digits_of_two_levels_are_symbols_of_two_kinds():
  corpus = Listed.named(f"d{i}" for i in range(12))
  table = positional.fit(corpus, scheme=naive.fit_sequential)
  assert table.codes[[0, 9, 10]].tolist() == [[2, 4], [2, 13], [3, 4]]
  assert table.level_starts == (2, 4)
  assert table.vocab_size == 14
  assert table.scheme == "2d sequential"


def test_semantic_docids_keep_their_tree():
  random = np.random.default_rng(0)
  vectors = random.normal(size=(60, 4)).astype(np.float32)
  corpus = Listed.named(map(str, range(60)))
  scheme = functools.partial(semantic.fit, k=3, leaf_size=6)
  flat = scheme(corpus, embeddings=vectors, seed=2)
  table = positional.fit(corpus, embeddings=vectors, seed=2, scheme=scheme)
  assert len(set(table.lengths().tolist())) > 1
  starts = np.array(table.level_starts)
  digits = np.where(table.codes > 1, table.codes - starts + 2, table.codes)
  np.testing.assert_array_equal(digits, flat.codes)
  levels = [set(column[column > 1]) for column in table.codes.T]
  assert not any(a & b for a, b in zip(levels, levels[1:], strict=False))


docids = st.lists(
  st.lists(st.integers(2, 9), min_size=1, max_size=3), min_size=1, max_size=12
)


@given(docids)
@settings(max_examples=40, deadline=None)
def test_eos_and_pads_stay_what_they_are(rows):
  width = 1 + max(map(len, rows))
  codes = [[*row, 1] + [0] * (width - 1 - len(row)) for row in rows]

  def scheme(collection, *, embeddings, seed):
    return DocidTable(
      codes=np.array(codes),
      docnos=collection.docnos,
      vocab_size=10,
      scheme="drawn",
    )

  table = positional.fit(
    Listed.named(map(str, range(len(rows)))), scheme=scheme
  )
  np.testing.assert_array_equal(table.codes < 2, np.array(codes) < 2)
  np.testing.assert_array_equal(table.codes == 1, np.array(codes) == 1)
  assert len(set(map(tuple, table.codes.tolist()))) == len(
    set(map(tuple, rows))
  )


def test_text_has_no_levels():
  with pytest.raises(ConfigError, match="docno docids are text"):
    positional.fit(Listed.named("ab"), scheme=lexical.fit_docno)
