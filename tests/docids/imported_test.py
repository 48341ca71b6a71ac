"""Docids of other systems."""

import pytest

from genret.core.errors import ConfigError, DataError
from genret.docids import imported, positional
from genret.docids.corpus import Listed
from genret.docids.imported import DocidFile

CORPUS = Listed.named(["a", "b", "c"])


@pytest.fixture
def made(tmp_path):
  """Returns what makes docids from the lines of a file."""

  def make(text):
    path = tmp_path / "theirs.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return imported.fit(CORPUS, file=DocidFile(str(path)))

  return make


def test_docids_of_one_length_have_no_end(made):
  table = made("c\t0 5\r\na\t5 1\nb\t0 5\n")
  assert table.codes.tolist() == [[7, 3], [2, 7], [2, 7]]
  assert table.vocab_size == 8 and not table.has_eos
  assert table.docnos == ["a", "b", "c"]
  assert table.collisions() == [(1, 2)]


def test_others_end_so_that_none_begins_another(made):
  table = made("a\t4\nb\t4 4\nc\t4 4 4\n")
  assert table.codes.tolist() == [[6, 1, 0, 0], [6, 6, 1, 0], [6, 6, 6, 1]]


def test_many_symbols_are_stored_wide(made):
  table = made("a\t70000\nb\t1\nc\t2\n")
  assert table.codes.dtype.name == "int32" and table.vocab_size == 70_003


def test_positions_can_have_symbols_of_their_own(tmp_path):
  path = tmp_path / "theirs.tsv"
  path.write_text("a\t0 1\nb\t1 1\nc\t1 0\n")

  def scheme(collection, **kwargs):
    return imported.fit(collection, file=DocidFile(str(path)), **kwargs)

  table = positional.fit(CORPUS, scheme=scheme)
  assert table.codes.tolist() == [[2, 5], [3, 5], [3, 4]]


@pytest.mark.parametrize(
  ("text", "line", "message"),
  [
    ("a\t1\nb 1\n", 2, "a docno, a tab and symbols"),
    ("a\t\n", 1, "a docno, a tab and symbols"),
    ("a\t1\nb\t-1\n", 2, "symbol '-1': expected a whole number"),
    ("a\t1.5\n", 1, "symbol '1.5'"),
    ("a\t2147483646\n", 1, "from 0 to 2,147,483,645"),
    ("a\t1\nz\t1\n", 2, "'z' is not in the collection"),
    ("a\t1\na\t1\n", 2, "'a' has a line further up"),
    (b"a\t1\n\xff\t1\n", 2, "utf-8"),
    ("a\t1\n", None, "2 of 3 documents have no line, the first of them 'b'"),
    ("", None, "3 of 3 documents"),
  ],
)
def test_faults_have_a_line(made, text, line, message):
  with pytest.raises(DataError, match=message) as error:
    made(text)
  assert error.value.line == line and error.value.path.name == "theirs.tsv"


def test_a_file_that_is_not_there():
  with pytest.raises(ConfigError, match="no file of docids theirs.tsv"):
    DocidFile("theirs.tsv")
