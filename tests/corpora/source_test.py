import tracemalloc

import pytest

from genret.core.collection import Document, Query
from genret.core.errors import ConfigError, DataError
from genret.corpora import source
from genret.corpora.files import Line
from genret.corpora.source import Fault, Judgement, Stream


def stream(items, path="f"):
  lines = [
    Line(path=path, number=i, value=v) for i, v in enumerate(items, start=1)
  ]
  return Stream(lines=lambda: iter(lines), parse=lambda value: value)


def document(docno, text="text", title=""):
  return Document(docno=docno, title=title, text=text)


def query(query_id, text="text"):
  return Query(query_id=query_id, text=text)


def judgement(query_id, docno, grade=1):
  return Judgement(query_id=query_id, docno=docno, grade=grade)


def checked(documents, queries, judgements, on_error="raise"):
  return source.checked(
    "toy",
    documents=stream(documents, "corpus"),
    queries=stream(queries, "queries"),
    qrels={"test": stream(judgements, "qrels")},
    origin=dict,
    on_error=on_error,
  )


def test_good_items_pass_in_order():
  documents = [document("d2"), document("d1", text="", title="only a title")]
  made = checked(documents, [query("q")], [judgement("q", "d1", -2)])
  assert list(made.documents()) == documents
  assert list(made.queries()) == [query("q")]
  assert list(made.qrels["test"]()) == [judgement("q", "d1", -2)]
  assert made.skipped() == {}


@pytest.mark.parametrize(
  ("bad", "message"),
  [
    (document("d1"), "duplicate _id: 'd1' stands further up"),
    (document(""), "missing _id"),
    (document("d 2"), "white space in _id: 'd 2'"),
    (document("d2\n"), "white space in _id"),
    (document("d2", text=" \t", title=" "), "empty text: title and text"),
    (document("d2", text="\ud800"), "not UTF-8: half a surrogate pair"),
    (document("\udfff"), "not UTF-8"),
  ],
)
def test_a_bad_document_is_named_or_counted(bad, message):
  documents = [document("d1"), bad, document("d3")]
  with pytest.raises(DataError) as error:
    list(checked(documents, [], []).documents())
  assert str(error.value).startswith(f"corpus:2: {message}")
  assert "(in a document)" in str(error.value)
  skipping = checked(documents, [], [], on_error="skip")
  kept = list(skipping.documents())
  assert kept == [document("d1"), document("d3")]
  kind = message.split(":")[0]
  assert skipping.skipped() == {f"document: {kind}": 1}


@pytest.mark.parametrize(
  ("bad", "message"),
  [
    (query("q1", "again"), "duplicate _id"),
    (query("q2", "\u3000"), "empty text: the query has no words"),
  ],
)
def test_a_bad_query_is_named_or_counted(bad, message):
  queries = [query("q1"), bad]
  with pytest.raises(DataError, match=f"^queries:2: {message}"):
    list(checked([], queries, []).queries())
  skipping = checked([], queries, [], on_error="skip")
  assert list(skipping.queries()) == [query("q1")]
  assert skipping.skipped() == {f"query: {message.split(':')[0]}": 1}


@pytest.mark.parametrize(
  ("bad", "message"),
  [
    (judgement("q9", "d"), "unknown query: no query has the id 'q9'"),
    (judgement("q", "d9"), "unknown document: no document is 'd9'"),
    (judgement("q", "d", 0), "duplicate judgement: document 'd'"),
  ],
)
def test_a_bad_judgement_is_named_or_counted(bad, message):
  judgements = [judgement("q", "d"), bad]
  made = checked([document("d")], [query("q")], judgements)
  with pytest.raises(DataError, match=f"^qrels:2: {message}"):
    list(made.qrels["test"]())
  skipping = checked([document("d")], [query("q")], judgements, "skip")
  assert list(skipping.qrels["test"]()) == judgements[:1]
  kind = message.split(":")[0]
  assert skipping.skipped() == {f"test judgement: {kind}": 1}


def test_judgements_of_skipped_documents_are_counted_too():
  made = checked(
    [document("d1"), document("d2", text="")],
    [query("q")],
    [judgement("q", "d1"), judgement("q", "d2")],
    on_error="skip",
  )
  assert len(list(made.qrels["test"]())) == 1
  assert made.skipped() == {
    "document: empty text": 1,
    "test judgement: unknown document": 1,
  }


def test_a_second_pass_counts_nothing_twice():
  made = checked([document("")] * 3, [], [], on_error="skip")
  for _ in range(2):
    assert list(made.documents()) == []
    assert made.skipped() == {"document: missing _id": 3}


def test_a_pass_broken_off_teaches_nothing():
  documents = [document("d1"), document("d2")]
  made = checked(documents, [query("q")], [judgement("q", "d2")])
  next(made.documents())
  assert list(made.qrels["test"]()) == [judgement("q", "d2")]


def test_documents_are_not_read_ahead():
  def lines():
    yield Line(path="f", number=1, value=document("d1"))
    raise AssertionError("read ahead")

  made = source.checked(
    "toy",
    documents=Stream(lines=lines, parse=lambda value: value),
    queries=stream([]),
    qrels={},
    origin=dict,
    on_error="raise",
  )
  assert next(made.documents()) == document("d1")


def test_a_long_corpus_takes_little_memory():
  count = 40_000

  def lines():
    for i in range(count):
      yield Line(path="f", number=i + 1, value=document(f"document-{i}"))

  made = source.checked(
    "toy",
    documents=Stream(lines=lines, parse=lambda value: value),
    queries=stream([query("q")]),
    qrels={"test": stream([judgement("q", f"document-{count - 1}")])},
    origin=dict,
    on_error="raise",
  )
  tracemalloc.start()
  try:
    assert len(list(made.qrels["test"]())) == 1  # reads the documents
    _, peak = tracemalloc.get_traced_memory()
  finally:
    tracemalloc.stop()
  assert peak < 60 * count  # a set of these ids takes 115 bytes each


def test_on_error_is_checked():
  with pytest.raises(ConfigError, match="'skipp'. Did you mean 'skip'?"):
    checked([], [], [], on_error="skipp")


def test_columns_and_grades():
  assert source.columns(b"q 0  d\t1", 4, sep=None) == ["q", "0", "d", "1"]
  with pytest.raises(Fault, match="wrong column count: 3 are .* and 2 came"):
    source.columns(b"q\td", 3)
  with pytest.raises(Fault, match="not UTF-8: .* 0xff"):
    source.columns(b"q\t\xff", 2)
  assert source.grade("12") == 12
  for bad in ("", "-", "1.0", "one", "²", "--1", "+1", "1_0"):
    with pytest.raises(Fault, match="bad grade"):
      source.grade(bad)
