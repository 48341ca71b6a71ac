import gzip
import json
from pathlib import Path

import pytest

from genret.core import artifacts
from genret.core.errors import ArtifactError, DataError
from genret.corpora import embedded
from genret.tasks.synthetic import (
  BLOCK,
  SyntheticQuery,
  blocks_of_queries,
  queries_file,
  read_queries,
  write_line,
)

DOCNOS = {"a", "b"}


def test_the_same_queries_from_four_kinds_of_file(tmp_path):
  pairs = [("a", "first query"), ("b", 'a "second" one'), ("a", "été")]
  columns = "".join(f"{docno}\t{text}\n" for docno, text in pairs)
  objects = "".join(
    json.dumps({"docno": docno, "query": text, "score": -1.5}) + "\n"
    for docno, text in pairs
  )
  for name, text in (("q.tsv", columns), ("q.jsonl", objects)):
    (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    for path in (tmp_path / name, tmp_path / f"{name}.gz"):
      found = read_queries(path, docnos=DOCNOS)
      assert [(q.docno, q.text) for q in found] == pairs


@pytest.mark.parametrize(
  ("name", "content", "line", "message"),
  [
    ("q.tsv", b"a\tone\nb two\n", 2, "1 columns came"),
    ("q.tsv", b"a\tone\ttwo\n", 1, "3 columns came"),
    ("q.tsv", b"a\tone\nx\ttwo\n", 2, "'x' is not in the collection"),
    ("q.tsv", b"a\t \n", 1, "the query is empty"),
    ("q.tsv", b"a\tone\n\n", 2, "1 columns came"),
    ("q.tsv", b"a\t\xff\xfe\n", 1, "not UTF-8"),
    ("q.tsv", b"", None, "the file is empty"),
    ("q.jsonl", b'{"docno": "a"}\n', 1, "'query'"),
    ("q.jsonl", b'{"docno": 1, "query": "x"}\n', 1, "'docno'"),
    ("q.jsonl", b'{"docno": "a", \n', 1, "broken JSON"),
    ("q.jsonl", b'["a", "x"]\n', 1, "JSON object"),
    (
      "q.jsonl",
      b'{"docno": "a", "query": "x", "log_probability": "-1"}\n',
      1,
      "int or float or null under 'log_probability': '-1' came",
    ),
    (
      "q.jsonl",
      b'{"docno": "a", "query": "x", "grade": true}\n',
      1,
      "int or null under 'grade'",
    ),
    ("q.tsv.gz", b"a\tone\n", None, "cannot be read"),
    (
      "q.tsv.gz",
      gzip.compress(b"a\tone\n", mtime=0)[:10] + b"\xff" * 20,
      None,
      "cannot be read",
    ),
  ],
)
def test_faults_name_file_and_line(tmp_path, name, content, line, message):
  path = tmp_path / name
  path.write_bytes(content)
  with pytest.raises(DataError, match=message) as error:
    list(read_queries(path, docnos=DOCNOS))
  where = f"{path}: " if line is None else f"{path}:{line}: "
  assert str(error.value).startswith(where)


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(DataError, match="No such file"):
    list(read_queries(tmp_path / "none.tsv", docnos=DOCNOS))


def test_blocks_of_queries(tmp_path):
  path = tmp_path / "q.tsv"
  path.write_text("".join(f"d{i}\tquery {i}\n" for i in range(BLOCK + 2)))
  blocks = list(blocks_of_queries(path))
  assert [len(block) for block in blocks] == [BLOCK, 2]
  assert blocks[1][1].docno == f"d{BLOCK + 1}"


def test_what_is_written_is_read_again(tmp_path):
  queries = [
    SyntheticQuery(docno="a", text='"été"\n?', log_probability=-1.25),
    SyntheticQuery(docno="b", text="two", generator="t5", grade=0),
    SyntheticQuery(docno="b", text="two"),
  ]
  path = tmp_path / "queries.jsonl"
  path.write_text("".join(map(write_line, queries)), encoding="utf-8")
  assert list(read_queries(path, docnos=DOCNOS)) == queries
  assert [list(json.loads(line)) for line in path.read_text().splitlines()] == [
    ["docno", "query", "log_probability", "generator", *more]
    for more in ([], ["grade"], [])
  ]


def test_an_artifact_is_its_file(tmp_path):
  for stage in ("generate", "prepare"):
    folder = tmp_path / stage
    with artifacts.building(folder, artifacts.Recipe(stage=stage)) as draft:
      (draft / "queries.jsonl").write_text("{}\n")
  found = tmp_path / "generate" / "queries.jsonl"
  assert queries_file(tmp_path / "generate") == queries_file(found) == found
  with pytest.raises(ArtifactError, match="made by stage 'prepare'"):
    queries_file(tmp_path / "prepare")
  (tmp_path / "begun").mkdir()
  with pytest.raises(ArtifactError, match="no finished artifact"):
    queries_file(tmp_path / "begun")


def test_what_ships_has_a_name(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  shipped = queries_file(Path("squad-smollm2"))
  assert shipped == embedded.squad_queries() and shipped.exists()
  own = tmp_path / "squad-smollm2"
  own.write_text("a\twho\n")
  assert queries_file(Path("squad-smollm2")).resolve() == own
