import pytest

from genret.core.errors import UserError
from genret.core.text import Tokenizer
from genret.docids import lexical
from genret.docids.corpus import Listed


def test_docnos_come_back_from_their_symbols():
  docnos = ["Super_Bowl_50#0", "Super_Bowl_50#1", "msmarco_passage_09"]
  table = lexical.fit_docno(Listed.named(docnos))
  tokenizer = Tokenizer()
  assert [tokenizer.decode(row) for row in table.codes] == docnos
  assert table.text_vocabulary
  assert table.vocab_size == 32_128
  assert table.has_eos
  assert not table.collisions()


def test_one_docno_may_begin_another():
  table = lexical.fit_docno(Listed.named(["d1", "d12"]))
  lengths = table.lengths()
  ends = [row[n - 1] for row, n in zip(table.codes, lengths, strict=True)]
  assert ends == [1, 1]


@pytest.mark.parametrize("docno", ["a{b}", "doc~7", "x\\y"])
def test_characters_outside_the_vocabulary_are_refused(docno):
  with pytest.raises(UserError, match="lacks") as error:
    lexical.fit_docno(Listed.named(["fine", docno]))
  assert repr(docno) in str(error.value)


@pytest.mark.parametrize("docno", ["two  blanks", "full\uff11width"])
def test_a_docno_that_changes_on_its_way_is_refused(docno):
  with pytest.raises(UserError, match="comes back") as error:
    lexical.fit_docno(Listed.named(["fine", docno]))
  assert repr(docno) in str(error.value)


def test_the_limit_on_length_counts_eos():
  [row] = Tokenizer().encode(["some/long/docno"], max_length=50)
  length = len(row)
  docnos = ["some/long/docno"]
  assert (
    lexical.fit_docno(Listed.named(docnos), max_length=length).length == length
  )
  with pytest.raises(UserError, match=r"some/long/docno.*max_length"):
    lexical.fit_docno(Listed.named(docnos), max_length=length - 1)
