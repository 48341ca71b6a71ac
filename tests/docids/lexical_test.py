import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.collection import Document
from genret.core.errors import ConfigError, UserError
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


def test_docnos_may_be_written_as_urls_are():
  table = lexical.fit_docno(
    Listed.named(["common/^", "full\uff11  width"]), unknown="percent"
  )
  spelled = [Tokenizer().decode(row) for row in table.codes]
  assert spelled == ["common/%5E", "full1 width"]
  with pytest.raises(ConfigError, match="'percent' or 'refuse'.*'percent'"):
    lexical.fit_docno(Listed.named(["d"]), unknown="precent")


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


def documents(*fields):
  return Listed(
    [
      Document(docno=f"d{i}", title=title, text=text)
      for i, (title, text) in enumerate(fields)
    ]
  )


def read(table):
  tokenizer = Tokenizer()
  return [tokenizer.decode(row) for row in table.codes]


def test_titles_are_normalised_and_shared():
  corpus = documents(
    ("Super  Bowl\t50", ""), ("Ｗａｒｓａｗ", ""), ("Warsaw", "")
  )
  table = lexical.fit_title(corpus)
  assert read(table) == ["Super Bowl 50", "Warsaw", "Warsaw"]
  assert table.collisions() == [(1, 2)]
  assert (table.scheme, table.text_vocabulary) == ("title", True)
  assert table.has_eos


def test_what_the_vocabulary_lacks_is_spelled_or_refused():
  corpus = documents(("fine", ""), ("~{x}", ""))
  assert read(lexical.fit_title(corpus)) == ["fine", "%7E%7Bx%7D"]
  with pytest.raises(UserError, match=r"title '~\{x\}' .*lacks"):
    lexical.fit_title(corpus, unknown="refuse")
  with pytest.raises(ConfigError, match="Did you mean 'percent'"):
    lexical.fit_title(corpus, unknown="precent")


def test_a_document_without_title_is_spelled_by_its_docno(caplog):
  corpus = documents(("a title", ""), (" ", "text"))
  with caplog.at_level(logging.WARNING):
    assert read(lexical.fit_title(corpus)) == ["a title", "d1"]
  assert "1 of 2 documents have no title" in caplog.text


def test_a_title_that_is_too_long_is_refused():
  with pytest.raises(UserError, match=r"title 'a very .*max_length \(4\)"):
    lexical.fit_title(documents(("a very long title", "")), max_length=4)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_titles_are_spelled_without_unknown_symbols(titles):
  corpus = documents(*((title, "") for title in titles))
  table = lexical.fit_title(corpus, max_length=400)
  table.check()  # no docid begins another
  assert not (table.codes == Tokenizer.unk_id).any()
  texts = read(table)
  shared = sum(len(rows) - 1 for rows in table.collisions())
  assert len(set(texts)) == len(texts) - shared


def test_urls_of_docnos_titles_and_texts(caplog):
  text = "See <https://www.example.org/a/~b>, or http://example.com."
  corpus = documents(("http://t.example/x/", text), ("ftp://u.example", ""))
  assert read(lexical.fit_url(corpus)) == ["d0", "d1"]
  titles = lexical.fit_url(corpus, field="title")
  assert read(titles) == ["t.example/x", "u.example"]
  with caplog.at_level(logging.WARNING):
    texts = lexical.fit_url(corpus, field="text", reverse=True)
  assert read(texts) == ["%7Eb/a/example.org", "d1"]
  assert "1 of 2 documents have no URL" in caplog.text
  with pytest.raises(ConfigError, match="Did you mean 'title'"):
    lexical.fit_url(corpus, field="titel")
