"""Collections and docids for the tests of this room."""

import itertools
import json
import tarfile
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.core.docid_table import DocidTable


def write_collection(folder: Path, *, documents, queries, qrels) -> Collection:
  """Writes a collection artifact and opens it."""
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": folder.name},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(folder, recipe) as draft:
    collection.write(draft, documents=documents, queries=queries, qrels=qrels)
  return Collection.open(folder)


@pytest.fixture(scope="session")
def new_collection():
  """The function that writes a collection."""
  return write_collection


@pytest.fixture(scope="session")
def squad(tmp_path_factory) -> Collection:
  """The collection that ships with genret, as an artifact."""
  archive = resources.files("genret") / "data" / "squad" / "squad.tar.xz"
  with tarfile.open(str(archive)) as tar:
    files = {m.name: tar.extractfile(m) for m in tar if m.isfile()}
    lines = {
      Path(name).name: file.read().decode("utf-8").splitlines()
      for name, file in files.items()
    }
  qrels: dict[str, dict[str, dict[str, int]]] = {}
  for split in ("train", "dev", "test"):
    judged = qrels[split] = {}
    for line in lines[f"{split}.tsv"][1:]:
      query_id, docno, grade = line.split("\t")
      judged.setdefault(query_id, {})[docno] = int(grade)
  documents, queries = (
    list(map(json.loads, lines[name]))
    for name in ("corpus.jsonl", "queries.jsonl")
  )
  return write_collection(
    tmp_path_factory.mktemp("collections") / "squad",
    documents=[
      Document(docno=d["_id"], title=d["title"], text=d["text"])
      for d in documents
    ],
    queries=[Query(query_id=q["_id"], text=q["text"]) for q in queries],
    qrels=qrels,
  )


@pytest.fixture(scope="session")
def few(squad, tmp_path_factory) -> Collection:
  """The first 200 passages of squad and the questions about them."""
  documents = list(itertools.islice(squad.documents(), 200))
  docnos = {document.docno for document in documents}
  qrels = {
    split: {
      query_id: judged
      for query_id, judged in squad.qrels(split).items()
      if docnos.issuperset(judged)
    }
    for split in squad.splits
  }
  asked = set().union(*qrels.values())
  return write_collection(
    tmp_path_factory.mktemp("collections") / "few",
    documents=documents,
    queries=[query for query in squad.queries() if query.query_id in asked],
    qrels=qrels,
  )


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Collection:
  """Three documents, four queries, one of them with two positives."""
  return write_collection(
    tmp_path_factory.mktemp("collections") / "small",
    documents=[
      Document(docno="a", title="Tower", text="It is tall. It was built."),
      Document(docno="b", title="", text="A river flows to the sea."),
      Document(docno="c", title="Bridge", text="It spans the river. Cars."),
    ],
    queries=[
      Query(query_id="q1", text="what is tall"),
      Query(query_id="q2", text="what spans the river"),
      Query(query_id="q3", text="what flows"),
      Query(query_id="q4", text="which bridge"),
    ],
    qrels={
      "train": {"q1": {"a": 1}, "q2": {"c": 2, "b": 1, "a": 0}},
      "dev": {"q3": {"b": 1}},
      "test": {"q4": {"c": 1}},
    },
  )


@pytest.fixture(scope="session")
def small_docids(small) -> DocidTable:
  """Docids of two lengths, with EOS."""
  return DocidTable(
    codes=np.array([[2, 1, 0], [3, 2, 1], [3, 3, 1]]),
    docnos=small.docnos,
    vocab_size=5,
    scheme="example",
  )


@pytest.fixture(scope="session")
def squad_docids(squad) -> DocidTable:
  """Docids of four digits, their number in base 10."""
  digits = [[int(c) + 2 for c in f"{i:04d}"] for i in range(2067)]
  return DocidTable(
    codes=np.array(digits),
    docnos=squad.docnos,
    vocab_size=12,
    scheme="example",
  )
