import subprocess
import sys
import typing

import pytest

from genret.core.collection import Document, Query
from genret.core.errors import ConfigError, DataError
from genret.corpora import irds
from genret.corpora.source import Judgement

ir_datasets = pytest.importorskip(
  "ir_datasets", reason="ir_datasets is not installed (genret[ir])"
)

DOCS = "d1\tthe quick fox\nd2\tthe dog\n"
QUERIES = "q1\twho is quick\nq2\twho is not\n"
QRELS = "q1 0 d1 2\nq2 0 d2 1\nq2 0 d1 -1\n"


@pytest.fixture
def register(tmp_path):
  """Registers real data sets over local files, and takes them off again."""
  added = []

  def add(name, **components):
    paths = {}
    for what, content in components.items():
      path = tmp_path / f"{len(added)}.{what}"
      path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
      )
      paths[what] = str(path)
    dataset = ir_datasets.create_dataset(**paths)
    ir_datasets.registry.register(name, dataset)
    added.append(name)
    return name

  yield add
  for name in added:
    del ir_datasets.registry._registered[name]


def everything(source):
  return (
    list(source.documents()),
    list(source.queries()),
    {split: list(read()) for split, read in source.qrels.items()},
  )


def test_one_id_with_everything(register):
  name = register(
    "genret-toy", docs_tsv=DOCS, queries_tsv=QUERIES, qrels_trec=QRELS
  )
  source = irds.read(name)
  assert everything(source) == (
    [
      Document(docno="d1", title="", text="the quick fox"),
      Document(docno="d2", title="", text="the dog"),
    ],
    [
      Query(query_id="q1", text="who is quick"),
      Query(query_id="q2", text="who is not"),
    ],
    {
      "test": [
        Judgement(query_id="q1", docno="d1", grade=2),
        Judgement(query_id="q2", docno="d2", grade=1),
        Judgement(query_id="q2", docno="d1", grade=-1),
      ]
    },
  )
  assert source.name == "genret-toy"
  assert source.origin() == {
    "documents": "ir_datasets:genret-toy",
    "test": "ir_datasets:genret-toy",
  }


def test_parts_that_are_splits(register):
  register("genret-toy", docs_tsv=DOCS)
  register(
    "genret-toy/train", queries_tsv="q1\tone\n", qrels_trec="q1 0 d1 1\n"
  )
  register(
    "genret-toy/test",
    queries_tsv="q1\tone\nq2\ttwo\n",
    qrels_trec="q2 0 d2 1\n",
  )
  register("genret-toy/dev", queries_tsv="q3\tnot judged\n")
  documents, queries, qrels = everything(irds.read("genret-toy"))
  assert len(documents) == 2
  assert queries == [
    Query(query_id="q1", text="one"),
    Query(query_id="q2", text="two"),
  ]
  assert {s: [j.query_id for j in found] for s, found in qrels.items()} == {
    "train": ["q1"],
    "test": ["q2"],
  }
  chosen = irds.read(
    "genret-toy", splits={"test": "genret-toy/train"}, name="mine"
  )
  assert list(chosen.qrels) == ["test"]
  assert chosen.name == "mine"


def test_queries_that_differ_under_one_id_are_found_out(register):
  register("genret-toy", docs_tsv=DOCS)
  for split, text in (("train", "one"), ("test", "another")):
    register(
      f"genret-toy/{split}",
      queries_tsv=f"q1\t{text}\n",
      qrels_trec="q1 0 d1 1\n",
    )
  with pytest.raises(
    DataError, match="^ir_datasets:genret-toy/test/queries:1: duplicate _id"
  ):
    list(irds.read("genret-toy").queries())


FAULTS = {
  "missing id": ("docs_tsv", DOCS + "\tx\n", "docs:3: missing _id"),
  "duplicate id": ("docs_tsv", DOCS + "d1\tx\n", "docs:3: duplicate _id"),
  "empty text": ("docs_tsv", DOCS + "d3\t \n", "docs:3: empty text"),
  "columns": ("docs_tsv", DOCS + "d3\n", "docs:3: ir_datasets cannot read on"),
  "not UTF-8": ("docs_tsv", b"d\t\xff\n", "docs:1: ir_datasets cannot read on"),
  "empty": ("docs_tsv", "", "docs: the file is empty"),
  "query empty": ("queries_tsv", QUERIES + "q3\t\n", "queries:3: empty text"),
  "query again": ("queries_tsv", QUERIES + "q1\tx\n", "queries:3: duplicate"),
  "query missing id": ("queries_tsv", "\tx\n", "queries:1: missing _id"),
  "no queries": ("queries_tsv", "", "queries: the file is empty"),
  "unknown query": (
    "qrels_trec",
    QRELS + "q9 0 d1 1",
    "qrels:4: unknown query",
  ),
  "unknown doc": ("qrels_trec", QRELS + "q1 0 d9 1", "qrels:4: unknown docume"),
  "grade": ("qrels_trec", QRELS + "q1 0 d2 x", "qrels:4: ir_datasets cannot"),
  "qrels columns": ("qrels_trec", "q1 d2 1", "qrels:1: ir_datasets cannot"),
  "no qrels": ("qrels_trec", "", "qrels: the file is empty"),
  "BEIR's header": (
    "qrels_trec",
    "query-id\t0\tcorpus-id\tscore\n" + QRELS,
    "qrels:1: ir_datasets cannot read on: .*header line of BEIR's qrels",
  ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_names_data_set_and_item(register, fault):
  what, content, message = FAULTS[fault]
  parts = {"docs_tsv": DOCS, "queries_tsv": QUERIES, "qrels_trec": QRELS}
  register("genret-toy", **(parts | {what: content}))
  with pytest.raises(DataError, match=f"^ir_datasets:genret-toy/{message}"):
    everything(irds.read("genret-toy"))


def test_what_can_be_skipped_is_counted(register):
  register(
    "genret-toy",
    docs_tsv=DOCS + "d1\tx\nd3\t\n",
    queries_tsv=QUERIES,
    qrels_trec=QRELS + "q1 0 d3 1\n",
  )
  source = irds.read("genret-toy", on_error="skip")
  everything(source)
  assert source.skipped() == {
    "document: duplicate _id": 1,
    "document: empty text": 1,
    "test judgement: unknown document": 1,
  }


class Paper(typing.NamedTuple):
  doc_id: str
  title: str
  abstract: str


class Page(typing.NamedTuple):
  doc_id: str
  html: str

  def default_text(self):
    return f"text of {self.html}"


def test_fields_of_other_document_types():
  assert irds._document(Paper("d", "Title", "words")) == Document(
    docno="d", title="Title", text="words"
  )
  assert irds._document(Page("d", "page")) == Document(
    docno="d", title="", text="text of page"
  )


def test_unknown_ids_are_suggested(register):
  with pytest.raises(ConfigError, match="Did you mean 'beir/scifact'?"):
    irds.read("beir/scifac")
  with pytest.raises(ConfigError, match="ir-datasets.com lists them"):
    irds.read("zzzzzzzz")


def test_a_data_set_without_documents_or_judgements(register):
  register("genret-toy", queries_tsv=QUERIES)
  with pytest.raises(ConfigError, match="'genret-toy' has no documents"):
    irds.read("genret-toy")
  register("genret-docs", docs_tsv=DOCS)
  with pytest.raises(ConfigError, match="'genret-docs' has no queries with"):
    irds.read("genret-docs")


def test_without_the_package_the_command_is_given():
  code = (
    "import sys; sys.modules['ir_datasets'] = None\n"  # as if not installed
    "from genret.corpora import irds\n"
    "try: irds.read('beir/scifact')\n"
    "except ValueError as error: print(error)\n"
  )
  result = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert "pip install 'genret[ir]'" in result.stdout
