"""Docids for people: numbers, or text."""

import numpy as np

from genret.core.docid_table import DocidTable
from genret.docids import lexical
from genret.docids.corpus import Listed
from genret.retrieval import docid_text


def test_a_text_docid_is_its_text():
  table = lexical.fit_docno(Listed.named(["Seine", "the river Seine"]))
  assert docid_text.of_docid(table, table.codes[0]) == "Seine"
  assert docid_text.of_docid(table, table.codes[1]) == "the river Seine"
  labels = [docid_text.of_symbol(table, s) for s in table.codes[1].tolist()]
  end = labels.index("<end>")
  assert "".join(labels[:end]).replace("▁", " ").strip() == "the river Seine"
  assert "▁river" in labels
  assert set(labels[end + 1 :]) <= {""}


def test_numbers_say_nothing_of_the_end():
  table = DocidTable(
    codes=np.array([[9, 1, 0], [3, 17, 1]]),
    docnos=["a", "b"],
    vocab_size=18,
    scheme="example",
  )
  shown = [docid_text.of_docid(table, row) for row in table.codes]
  assert shown == ["9", "3.17"]
