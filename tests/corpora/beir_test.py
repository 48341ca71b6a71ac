import gzip
import json
import pathlib
import tarfile

import pytest

from genret.core.collection import Document, Query
from genret.core.errors import DataError
from genret.corpora import beir
from genret.corpora.source import Judgement

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "data" / "collections"

CORPUS = (
  b'{"_id": "d1", "title": "Fox", "text": "the quick\\nbrown"}\n'
  b'{"_id": 7, "text": "seven", "metadata": {}}\n'
  b'{"_id": "d3", "title": "T\xc3\xa4g", "text": null}\n'
)
QUERIES = b'{"_id": "q1", "text": "who"}\n{"_id": "q2", "text": "when"}\n'
TEST = b"query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\t7\t0\n"
TRAIN = b"q2\td3\t2\n"  # someone forgot the header


@pytest.fixture
def root(tmp_path):
  folder = tmp_path / "toy"
  (folder / "qrels").mkdir(parents=True)
  (folder / "corpus.jsonl").write_bytes(CORPUS)
  (folder / "queries.jsonl").write_bytes(QUERIES)
  (folder / "qrels" / "test.tsv").write_bytes(TEST)
  (folder / "qrels" / "train.tsv").write_bytes(TRAIN)
  return folder


EXPECTED = (
  [
    Document(docno="d1", title="Fox", text="the quick\nbrown"),
    Document(docno="7", title="", text="seven"),
    Document(docno="d3", title="Täg", text=""),
  ],
  [Query(query_id="q1", text="who"), Query(query_id="q2", text="when")],
  {
    "test": [
      Judgement(query_id="q1", docno="d1", grade=1),
      Judgement(query_id="q1", docno="7", grade=0),
    ],
    "train": [Judgement(query_id="q2", docno="d3", grade=2)],
  },
)


def test_a_folder(root, everything):
  source = beir.read(root)
  assert everything(source) == EXPECTED
  assert source.name == "toy"
  assert beir.read(str(root), name="mine").name == "mine"


def test_gzipped_files(root, everything):
  for path in [*root.glob("*.jsonl"), *root.glob("qrels/*.tsv")]:
    path.with_name(f"{path.name}.gz").write_bytes(
      gzip.compress(path.read_bytes())
    )
    path.unlink()
  assert everything(beir.read(root)) == EXPECTED


def test_an_archive(root, everything):
  path = root.parent / "packed.tar.xz"
  with tarfile.open(path, "w:xz") as archive:
    archive.add(root, arcname="./inner")
  source = beir.read(path)
  assert everything(source) == EXPECTED
  assert source.name == "packed"
  assert list(source.origin()) == ["archive"]


def test_origin_names_the_files_that_count(root):
  (root / "README.md").write_text("not read")
  assert list(beir.read(root).origin()) == [
    "corpus.jsonl",
    "qrels/test.tsv",
    "qrels/train.tsv",
    "queries.jsonl",
  ]


ROW = b'{"_id": "%s", "text": "%s"}\n'

# file, its bytes, the line at fault, the message
FAULTS = {
  "broken JSON": ("corpus.jsonl", CORPUS + b"{broken\n", 4, "broken JSON"),
  "a blank line": ("corpus.jsonl", CORPUS + b"\n", 4, "broken JSON"),
  "no object": ("corpus.jsonl", b"[1]\n", 1, "broken JSON: an object"),
  "a number as text": (
    "corpus.jsonl",
    b'{"_id": "d1", "text": 5}\n',
    1,
    "broken JSON: 'text' is 5",
  ),
  "missing _id": ("corpus.jsonl", CORPUS + b'{"text": "x"}', 4, "missing _id"),
  "_id is true": (
    "corpus.jsonl",
    b'{"_id": true, "text": "x"}',
    1,
    "missing _id: a string is expected and True came",
  ),
  "duplicate _id": (
    "corpus.jsonl",
    CORPUS + ROW % (b"d1", b"x"),
    4,
    "duplicate _id: 'd1'",
  ),
  "empty document": (
    "corpus.jsonl",
    CORPUS + b'{"_id": "d4", "title": "", "text": " "}',
    4,
    "empty text",
  ),
  "no text": ("corpus.jsonl", b'{"_id": "d", "body": "x"}', 1, "empty text"),
  "corpus not UTF-8": (
    "corpus.jsonl",
    CORPUS + ROW % (b"d4", b"\xe9"),
    4,
    "not UTF-8",
  ),
  "surrogate": (
    "corpus.jsonl",
    ROW % (b"d4", b"\\ud800"),
    1,
    "not UTF-8: half a surrogate",
  ),
  "empty corpus": ("corpus.jsonl", b"", None, "the file is empty"),
  "query broken JSON": ("queries.jsonl", b"{", 1, "broken JSON"),
  "query missing _id": (
    "queries.jsonl",
    QUERIES + b'{"_id": "", "text": "x"}',
    3,
    "missing _id",
  ),
  "query duplicate _id": (
    "queries.jsonl",
    QUERIES + ROW % (b"q2", b"x"),
    3,
    "duplicate _id: 'q2'",
  ),
  "empty query": (
    "queries.jsonl",
    QUERIES + ROW % (b"q3", b""),
    3,
    "empty text: the query has no words",
  ),
  "query not UTF-8": (
    "queries.jsonl",
    ROW % (b"q1", b"\xff"),
    1,
    "not UTF-8",
  ),
  "empty queries": ("queries.jsonl", b"", None, "the file is empty"),
  "unknown query": (
    "qrels/test.tsv",
    TEST + b"q9\td1\t1\n",
    4,
    "unknown query",
  ),
  "unknown document": (
    "qrels/test.tsv",
    TEST + b"q1\td9\t1\n",
    4,
    "unknown document: no document is 'd9'",
  ),
  "bad grade": (
    "qrels/test.tsv",
    TEST + b"q2\td1\thigh\n",
    4,
    "bad grade: 'high'",
  ),
  "two columns": (
    "qrels/test.tsv",
    TEST + b"q2\td1\n",
    4,
    "wrong column count: 3 are expected and 2 came",
  ),
  "TREC's columns": ("qrels/test.tsv", b"q2 0 d1 1\n", 1, "wrong column count"),
  "judged twice": ("qrels/test.tsv", TEST + b"q1\td1\t0", 4, "duplicate judg"),
  "qrels not UTF-8": (
    "qrels/test.tsv",
    TEST + b"q1\t\xff\t1\n",
    4,
    "not UTF-8",
  ),
  "empty qrels": ("qrels/test.tsv", b"", None, "the file is empty"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_names_file_and_line(root, fault, everything):
  name, content, line, message = FAULTS[fault]
  (root / name).write_bytes(content)
  with pytest.raises(DataError) as error:
    everything(beir.read(root))
  where = root / name if line is None else f"{root / name}:{line}"
  assert str(error.value).startswith(f"{where}: {message}")
  if line is None:  # nothing to skip
    with pytest.raises(DataError):
      everything(beir.read(root, on_error="skip"))
    return
  skipping = beir.read(root, on_error="skip")
  everything(skipping)
  assert sum(skipping.skipped().values()) >= 1
  kind = message.split(":")[0]
  assert any(kind in counted for counted in skipping.skipped())


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_missing_file(root, name):
  (root / name).unlink()
  with pytest.raises(DataError, match=f"toy: holds no {name}, plain or .gz"):
    beir.read(root)


def test_missing_qrels(root):
  for path in root.glob("qrels/*"):
    path.unlink()
  with pytest.raises(DataError, match=r"toy: holds no qrels/\*\.tsv"):
    beir.read(root)


def shared(name):
  path = SHARED / f"{name}.tar.xz"
  if not path.exists():
    pytest.skip(f"the real collections are not beside this checkout: {path}")
  return path


def test_cranfield_has_two_empty_documents():
  path = shared("cranfield")
  with pytest.raises(DataError) as error:
    list(beir.read(path).documents())
  member = f"{path}/cranfield/corpus.jsonl"
  with tarfile.open(path) as archive:
    with archive.extractfile("cranfield/corpus.jsonl") as file:
      rows = [json.loads(line) for line in file]
  empty = [i for i, r in enumerate(rows, 1) if not r["title"] + r["text"]]
  assert str(error.value).startswith(f"{member}:{empty[0]}: empty text")
  skipping = beir.read(path, on_error="skip")
  assert sum(1 for _ in skipping.documents()) == 1398
  assert skipping.skipped() == {"document: empty text": 2}


@pytest.mark.parametrize(
  ("name", "documents", "judged"),
  [
    ("tldr", 7_424, {"train": 25_626, "dev": 3_253, "test": 3_256}),
    ("boolq_passage", 6_914, {"train": 5_131, "test": 3_270}),
  ],
)
def test_counts_of_real_collections(name, documents, judged):
  source = beir.read(shared(name))
  assert sum(1 for _ in source.documents()) == documents
  found = {
    split: len({item.query_id for item in read()})
    for split, read in source.qrels.items()
  }
  assert found == judged
