import gzip
import tarfile

import pytest

from genret.core.collection import Document, Query
from genret.core.errors import DataError
from genret.corpora import msmarco
from genret.corpora.source import Judgement

COLLECTION = b"0\tThe first passage.\n1\tThe \xc3\xa9second.\n"
TRAIN = b"10\twho is first\n11\twho is second\n"
DEV = b"20\twhat now\n21\twhat then\n"
FILES = {
  "collection.tsv": COLLECTION,
  "queries.train.tsv": TRAIN,
  "queries.dev.tsv": DEV,
  "queries.dev.small.tsv": b"20\twhat now\n",
  "qrels.train.tsv": b"10\t0\t0\t1\n11\t0\t1\t1\n",
  "qrels.dev.small.tsv": b"20 0 1 2\n",  # TREC's blanks
}


EXPECTED = (
  [
    Document(docno="0", title="", text="The first passage."),
    Document(docno="1", title="", text="The ésecond."),
  ],
  [
    Query(query_id="20", text="what now"),
    Query(query_id="21", text="what then"),
    Query(query_id="10", text="who is first"),
    Query(query_id="11", text="who is second"),
  ],
  {
    "dev.small": [Judgement(query_id="20", docno="1", grade=2)],
    "train": [
      Judgement(query_id="10", docno="0", grade=1),
      Judgement(query_id="11", docno="1", grade=1),
    ],
  },
)


def test_a_folder(root, everything):
  source = msmarco.read(root)
  assert everything(source) == EXPECTED
  assert source.name == "toy"


def test_the_small_queries_are_read_where_there_is_no_whole(root, everything):
  (root / "queries.dev.tsv").unlink()
  _, queries, _ = everything(msmarco.read(root))
  assert [q.query_id for q in queries] == ["20", "10", "11"]


def test_gzipped_and_packed(root, everything):
  path = root / "collection.tsv"
  (root / "collection.tsv.gz").write_bytes(gzip.compress(path.read_bytes()))
  path.unlink()
  assert everything(msmarco.read(root)) == EXPECTED
  packed = root.parent / "msmarco.tar.gz"
  with tarfile.open(packed, "w:gz") as archive:
    archive.add(root, arcname=".")
  source = msmarco.read(packed)
  assert everything(source) == EXPECTED
  assert source.name == "msmarco"


def test_origin_names_the_files_that_count(root):
  assert list(msmarco.read(root).origin()) == [
    "collection.tsv",
    "qrels.dev.small.tsv",
    "qrels.train.tsv",
    "queries.dev.tsv",
    "queries.train.tsv",
  ]


QRELS = FILES["qrels.train.tsv"]

FAULTS = {
  "one column": ("collection.tsv", COLLECTION + b"2", 3, "wrong column count"),
  "a tab in the text": (
    "collection.tsv",
    COLLECTION + b"2\ta\tb",
    3,
    "wrong column count: 2 are expected and 3 came",
  ),
  "missing id": ("collection.tsv", COLLECTION + b"\tx", 3, "missing _id"),
  "duplicate id": ("collection.tsv", COLLECTION + b"1\tx", 3, "duplicate _id"),
  "empty text": ("collection.tsv", COLLECTION + b"2\t \n", 3, "empty text"),
  "not UTF-8": ("collection.tsv", COLLECTION + b"2\t\xff", 3, "not UTF-8"),
  "empty": ("collection.tsv", b"", None, "the file is empty"),
  "query columns": ("queries.dev.tsv", DEV + b"22", 3, "wrong column count"),
  "query missing id": ("queries.dev.tsv", DEV + b"\tx", 3, "missing _id"),
  "query duplicate id": (
    "queries.train.tsv",
    TRAIN + b"20\tof dev",
    3,
    "duplicate _id: '20'",
  ),
  "empty query": ("queries.dev.tsv", DEV + b"22\t", 3, "empty text"),
  "query not UTF-8": ("queries.dev.tsv", DEV + b"22\t\xe9", 3, "not UTF-8"),
  "empty queries": ("queries.train.tsv", b"", None, "the file is empty"),
  "unknown query": (
    "qrels.train.tsv",
    QRELS + b"99\t0\t0\t1",
    3,
    "unknown query: no query has the id '99'",
  ),
  "unknown document": (
    "qrels.train.tsv",
    QRELS + b"10\t0\t99\t1",
    3,
    "unknown document: no document is '99'",
  ),
  "bad grade": ("qrels.train.tsv", QRELS + b"10\t0\t1\t1.0", 3, "bad grade"),
  "BEIR's header": (
    "qrels.train.tsv",
    b"query-id\tcorpus-id\tscore\n" + QRELS,
    1,
    "wrong column count: 4 are expected and 3 came",
  ),
  "judged twice": (
    "qrels.train.tsv",
    QRELS + b"10\t0\t0\t1",
    3,
    "duplicate judgement",
  ),
  "qrels not UTF-8": ("qrels.train.tsv", b"\xff 0 0 1", 1, "not UTF-8"),
  "empty qrels": ("qrels.train.tsv", b"", None, "the file is empty"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_names_file_and_line(root, fault, everything):
  name, content, line, message = FAULTS[fault]
  (root / name).write_bytes(content)
  with pytest.raises(DataError) as error:
    everything(msmarco.read(root))
  where = root / name if line is None else f"{root / name}:{line}"
  assert str(error.value).startswith(f"{where}: {message}")
  if line is None:
    return
  skipping = msmarco.read(root, on_error="skip")
  everything(skipping)
  kind = message.split(":")[0]
  assert [kind in counted for counted in skipping.skipped()] == [True]
  assert list(skipping.skipped().values()) == [1]


@pytest.mark.parametrize("what", ["queries", "qrels"])
def test_missing_parts(root, what):
  for path in root.glob(f"{what}.*"):
    path.unlink()
  with pytest.raises(DataError, match=rf"toy: holds no {what}\.\*\.tsv"):
    msmarco.read(root)


def test_a_missing_collection(root):
  (root / "collection.tsv").unlink()
  with pytest.raises(DataError, match="holds no collection.tsv"):
    msmarco.read(root)
