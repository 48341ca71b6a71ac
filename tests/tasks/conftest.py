"""Collections and docids for the tests of this room."""

import itertools
import json
import tarfile
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from genret.core import artifacts, collection, links
from genret.core.collection import Collection, Document, Query
from genret.core.docid_table import DocidTable
from genret.core.docnos import Docnos
from genret.core.links import Link, SourcePage, Span


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


def page_of(name: str, sections, links) -> SourcePage:
  """Describes a page of one-paragraph documents, `name-0`, `name-1`, …"""
  return SourcePage(
    page=name,
    docnos=[f"{name}-{i}" for i in range(len(sections))],
    spans=[
      Span(document=i, start=0, end=len(text), section=section)
      for i, (section, text) in enumerate(sections)
    ],
    links=[
      Link(paragraph=paragraph, start=start, end=end, page=to)
      for paragraph, start, end, to in links
    ],
  )


def write_linked(folder: Path, pages) -> Collection:
  """Writes a linked collection of passages.

  Args:
    folder: where nothing stands.
    pages: name -> its paragraphs, pairs of section and text, and its links:
      paragraph, first and last character, name of the page they lead to.
  """
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": folder.name},
    format_version=collection.FORMAT_VERSION,
  )
  documents = [
    Document(docno=f"{name}-{i}", title=name.title(), text=text)
    for name, (sections, _) in pages.items()
    for i, (_, text) in enumerate(sections)
  ]
  with artifacts.building(folder, recipe) as draft:
    collection.write(draft, documents=documents, queries=[], qrels={})
    links.write(
      draft,
      [page_of(name, *content) for name, content in pages.items()],
      Docnos.load(draft / collection.DOCNOS),
    )
  return Collection.open(folder)


@pytest.fixture(scope="session")
def new_linked():
  """The function that writes a linked collection."""
  return write_linked


@pytest.fixture(scope="session")
def linked(tmp_path_factory) -> Collection:
  """Seven passages of three pages, which link to each other."""
  return write_linked(
    tmp_path_factory.mktemp("collections") / "linked",
    {
      "tower": (
        [
          (0, "The tower stands by the river. It is as tall as it is old."),
          (1, "Masons built it of stone. It took them ten long years."),
          (1, "Visitors climb the stairs to the top every day of summer."),
        ],
        [(0, 24, 29, "river"), (1, 0, 6, "mason"), (1, 0, 6, "river")],
      ),
      "river": (
        [
          (0, "The river flows through the old town to the cold sea."),
          (0, "Ships came up the river as far as the stone bridge."),
        ],
        [(0, 4, 9, "river"), (1, 34, 46, "tower")],
      ),
      "mason": (
        [
          (0, "A mason is a craftsman who works with brick and stone."),
          (1, "Some of them built the tower that stands by the river."),
        ],
        [(1, 24, 29, "tower"), (1, 49, 54, "river")],
      ),
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
