import math

import pytest

from genret.core.collection import Document
from genret.core.errors import ConfigError
from genret.core.text import Tokenizer
from genret.docids import keywords
from genret.docids.corpus import Listed

TEXTS = [
  "copy a file, copy files to a server",
  "list files",
  "list the processes of a server",
  "kill processes",
]
CORPUS = Listed(
  [Document(docno=f"d{i}", title="", text=t) for i, t in enumerate(TEXTS)]
)


def read(table):
  tokenizer = Tokenizer()
  return [tokenizer.decode(row) for row in table.codes]


def weight(word, row, *, k1=0.9, b=0.4):
  """BM25's weight of a word, from its formula."""
  # Words of one letter are none, so the lengths are 6, 2, 5 and 2.
  words = [
    [w for w in text.replace(",", "").split() if len(w) > 1] for text in TEXTS
  ]
  n = sum(word in w for w in words)
  idf = math.log(1 + (len(words) - n + 0.5) / (n + 0.5))
  tf, length = words[row].count(word), len(words[row])
  average = sum(map(len, words)) / len(words)
  return idf * tf / (tf + k1 * (1 - b + b * length / average))


def test_the_heaviest_words_come_first():
  table = keywords.fit(CORPUS, count=2)
  for row, docid in enumerate(read(table)):
    words = set(TEXTS[row].replace(",", "").split()) - {"a"}
    best = sorted(words, key=lambda word: (-weight(word, row), word))
    assert docid.split() == best[:2]
  assert read(table)[0] == "copy file"
  assert (table.scheme, table.text_vocabulary) == ("keywords", True)
  assert table.has_eos


def test_title_and_case_count():
  one = Document(docno="a", title="COPY", text="the file")
  other = Document(docno="b", title="", text="the file")
  assert read(keywords.fit(Listed([one, other]), count=1))[0] == "copy"


def test_documents_without_words_are_spelled_by_their_docno(caplog):
  empty = [Document(docno=d, title="", text=t) for d, t in (("x1", "~ ."),)]
  table = keywords.fit(Listed([*CORPUS.documents(), *empty]))
  assert read(table)[-1] == "x1"
  assert "1 of 5 documents have no word" in caplog.text


def test_words_beyond_the_limit_are_left_out():
  table = keywords.fit(CORPUS, max_length=4)
  assert table.length <= 4
  assert all(read(table))


@pytest.mark.parametrize("given", [{"count": 0}, {"k1": -1.0}, {"b": 1.5}])
def test_settings_that_cannot_be_are_refused(given):
  with pytest.raises(ConfigError, match="count is at least 1"):
    keywords.fit(CORPUS, **given)
