import numpy as np

from genret.docids import atomic
from genret.docids.corpus import Listed


def test_one_symbol_a_document_in_corpus_order():
  table = atomic.fit(Listed.named("bac"), seed=3)
  np.testing.assert_array_equal(table.codes, [[2], [3], [4]])
  assert table.vocab_size == 5
  assert table.scheme == "atomic"
  assert not table.has_eos
  assert list(table.docnos) == ["b", "a", "c"]


def test_many_documents_take_wider_symbols():
  docnos = [str(i) for i in range(65_535)]
  assert atomic.fit(Listed.named(docnos[:-1])).codes.dtype == np.uint16
  table = atomic.fit(Listed.named(docnos))
  assert table.codes.dtype == np.int32
  assert table.codes[-1, 0] == 65_536
