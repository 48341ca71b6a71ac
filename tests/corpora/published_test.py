import gzip
import hashlib
import json

import numpy as np
import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.core.errors import ConfigError, DataError
from genret.corpora import judged as judgements
from genret.corpora.published import Published, read_ids

QRELS = {
  "train": {"t0": {"d0": 1, "d3": 1}, "t1": {"d1": 1}, "t2": {"d5": 1}},
  "dev": {"v0": {"d2": 1}, "v1": {"d4": 1}},
}


@pytest.fixture
def source(tmp_path):
  recipe = artifacts.Recipe(
    stage=collection.STAGE,
    arguments={"name": "toy"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(tmp_path / "toy", recipe) as draft:
    collection.write(
      draft,
      documents=[
        Document(docno=f"d{i}", title="", text=f"{i}") for i in range(6)
      ],
      queries=[
        Query(query_id=i, text=i) for i in ("t0", "t1", "t2", "v0", "v1")
      ],
      qrels=QRELS,
    )
  return Collection.open(tmp_path / "toy")


@pytest.fixture
def listed(tmp_path):
  """Writes a list of ids; returns its path as gin gives it."""

  def write(name, text):
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / name).write_bytes(
      gzip.compress(data) if name.endswith(".gz") else data
    )
    return str(tmp_path / name)

  return write


def imported(source, **given):
  made = Published(**given).rung(source, judgements.read(source))
  chosen = {
    split: sorted(
      (origin, place)
      for origin, mask in parts.items()
      for place in np.flatnonzero(mask).tolist()
    )
    for split, parts in made.splits.items()
  }
  return made, chosen


@pytest.mark.parametrize(
  ("name", "text"),
  [
    ("ids.txt", "d3\nd1\nd0\n"),
    ("ids", "\ufeffd3\r\nd1\r\nd0"),
    ("ids.tsv", "d3\tsome title\nd1\t\nd0\tx\ty\n"),
    ("ids.tsv.gz", "d3\tsome title\nd1\nd0\n"),
    ("ids.json", json.dumps(["d3", "d1", "d0"])),
    ("ids.json.gz", json.dumps(["d3", "d1", "d0"])),
  ],
)
def test_every_format(source, listed, name, text):
  found, chosen = imported(source, docnos=listed(name, text))
  assert found.documents.tolist() == [0, 1, 3]
  assert found.documents.dtype == np.int32
  # t2, v0 and v1 have no positive listed.
  assert chosen == {
    "train": [("train", 0), ("train", 1), ("train", 2)],
    "dev": [],
  }
  assert found.changes == {
    "train queries without a positive in the list": 1,
    "dev queries without a positive in the list": 2,
  }


def test_whole_numbers_in_json_are_ids(tmp_path):
  path = tmp_path / "ids.json"
  path.write_text("[7, 12]")
  assert [line.value for line in read_ids(path)] == ["7", "12"]


def test_lists_of_queries_decide_the_splits(source, listed):
  found, chosen = imported(
    source,
    docnos=listed("d.txt", "d0\nd1\nd2\n"),
    queries={
      "train": listed("train.txt", "t0\nt2\n"),
      "test": listed("test.txt", "v0\nt1\nv1\n"),
      "test_seen": listed("seen.txt", "t1\n"),  # a part of test
    },
    expected={"documents": 3, "test": 3},
  )
  assert chosen == {
    "train": [("train", 0)],  # t0's other positive is not listed
    "test": [("dev", 0), ("train", 2)],
    "test_seen": [("train", 2)],
  }
  assert list(found.changes.values()) == [1, 1, 0]


def test_a_checksum_is_of_the_documents_in_corpus_order(source, listed):
  path = listed("d.txt", "d3\nd1\n")
  checksum = hashlib.sha256(b"d1\nd3\n").hexdigest()
  found, _ = imported(source, docnos=path, checksum=checksum)
  assert found.documents.tolist() == [1, 3]
  with pytest.raises(DataError, match=f"have the checksum {checksum}, not 00"):
    imported(source, docnos=path, checksum="00")


@pytest.mark.parametrize(
  ("name", "text", "message"),
  [
    (
      "a.txt",
      "d1\nx\nd2\ny\n",
      "a.txt:2: 'x' is no docno of .*'toy'; so are 2",
    ),
    ("a.txt", "d1\nx\nd2\ny\n", r"2 of 4 ids \('x', 'y'\)"),
    ("a.txt", "d1\nd2\nd1\n", "a.txt:3: 'd1' stands further up as well"),
    ("a.txt", "d1\n\nd2\n", "a.txt:2: an id is expected"),
    ("a.txt", b"d1\n\xff\n", "a.txt: cannot be read: .*utf-8"),
    ("a.txt", "", "a.txt: the list is empty"),
    ("a.json", "[]", "a.json: the list is empty"),
    ("a.json", "{}", "a JSON list of ids is expected"),
    ("a.json", "[", "broken JSON"),
    ("a.json", '["d1", null]', "element 2 is None"),
    ("a.json", '["d1", "d1"]', "a.json:2: 'd1' stands further up"),
  ],
)
def test_faults_are_named(source, listed, name, text, message):
  with pytest.raises(DataError, match=message):
    imported(source, docnos=listed(name, text))


def test_a_cut_archive(source, listed, tmp_path):
  path = listed("a.txt.gz", "d1\n" * 1000)
  whole = (tmp_path / "a.txt.gz").read_bytes()
  header = whole[:10]  # after it, deflate cannot begin with bits 111
  for damaged in (whole[:-9], header + b"\xff" * 20):
    (tmp_path / "a.txt.gz").write_bytes(damaged)
    with pytest.raises(DataError, match="a.txt.gz: cannot be read"):
      imported(source, docnos=path)


def test_counts_are_checked(source, listed):
  path = listed("d.txt", "d0\nd1\n")
  with pytest.raises(
    DataError, match=r"3 ids are expected \(documents\) and 2"
  ):
    imported(source, docnos=path, expected={"documents": 3})
  queries = {"test": listed("q.txt", "t0\n")}
  with pytest.raises(DataError, match=r"q.txt: 7 ids are expected \(test\)"):
    imported(source, docnos=path, queries=queries, expected={"test": 7})


def test_tested_queries_are_not_trained_on(source, listed):
  queries = {
    "train": listed("train.txt", "t0\nt1\n"),
    "test": listed("test.txt", "v0\nt1\n"),
  }
  with pytest.raises(DataError, match="test.txt: 't1' is a query of train too"):
    imported(source, docnos=listed("d.txt", "d0\n"), queries=queries)


def test_unknown_queries(source, listed):
  queries = {"test": listed("q.txt", "t0\nnone\n")}
  with pytest.raises(DataError, match="q.txt:2: 'none' is no query id of"):
    imported(source, docnos=listed("d.txt", "d0\n"), queries=queries)


def test_names_and_inputs(listed):
  path = listed("nq.tsv.gz", "d1\n")
  assert Published(docnos=path).label == "nq"
  named = Published(docnos=path, name="nq320k-nci", queries={"test": path})
  assert named.label == "nq320k-nci"
  assert set(named.inputs()) == {"docnos", "queries of test"}
  with pytest.raises(DataError, match="none.txt: there is no such list"):
    Published(docnos="none.txt").inputs()
  with pytest.raises(ConfigError, match="'a/b' cannot be the name"):
    Published(docnos=path, name="a/b")
  with pytest.raises(ConfigError, match="give --docnos=FILE"):
    Published(name="nq320k-nci")
