"""Judgements of others."""

import pytest

from genret.core.errors import ConfigError, DataError
from genret.evaluation import judges
from genret.evaluation.judges import Judge


@pytest.mark.parametrize(
  "text",
  [
    "q1 0 d1 2\nq1 0 d2 0\nq2 Q0 d1 3\n",
    "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td1\t3\n",
    "q1\td1\t2\nq1\td2\t0\nq2\td1\t3\nq2\td1\t3\n",
  ],
)
def test_both_layouts_are_read(tmp_path, text):
  path = tmp_path / "llm.tsv"
  path.write_text(text)
  assert judges.read(path) == {"q1": {"d1": 2, "d2": 0}, "q2": {"d1": 3}}


@pytest.mark.parametrize(
  ("text", "line", "message"),
  [
    (b"q1 d1 2\nq1 d2\n", 2, "2 columns; expected 'query-id docno grade'"),
    (b"q1 d1 yes\n", 1, "invalid literal"),
    (b"q1 d1 2\nq1 0 d1 3\n", 2, "has grade 2 for query 'q1' further up"),
    (b"q1 d\xff 2\n", 1, "utf-8"),
    (b"query-id\tcorpus-id\tscore\n", None, "no judgements in it"),
  ],
)
def test_faults_have_a_line(tmp_path, text, line, message):
  path = tmp_path / "llm.tsv"
  path.write_bytes(text)
  with pytest.raises(DataError, match=message) as error:
    judges.read(path)
  assert (error.value.path, error.value.line) == (path, line)


def test_a_file_that_is_not_there(tmp_path):
  with pytest.raises(DataError, match="no such file of judgements"):
    judges.read(tmp_path / "llm.tsv")


def test_a_judge_has_a_file_and_a_threshold():
  found = Judge.parse("a/b:c.tsv:3")
  assert (str(found.path), found.relevance) == ("a/b:c.tsv", 3)
  for text in ("llm.tsv", "llm.tsv:", ":2", "llm.tsv:two"):
    with pytest.raises(ConfigError, match="expected FILE:GRADE"):
      Judge.parse(text)
