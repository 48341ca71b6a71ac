"""A prepared collection: corpus, queries and qrels in BEIR's layout."""

import dataclasses
import functools
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genret.core import artifacts, json_lines, links, rungs
from genret.core.docnos import Docnos, writing
from genret.core.errors import ArtifactError, DataError, UserError, suggest

STAGE = "prepare"
FORMAT_VERSION = 2
CORPUS = "corpus.jsonl"
OFFSETS = "corpus.offsets.npy"
DOCNOS = "docnos"
QUERIES = "queries.jsonl"
QRELS = "qrels"
SUMMARY = "summary.json"
QRELS_HEADER = ("query-id", "corpus-id", "score")
SPLITS = ("train", "dev", "test")

Qrels = Mapping[str, Mapping[str, int]]  # query id -> docno -> grade


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Document:
  """A document of a corpus; a passage is one too."""

  docno: str
  title: str
  text: str

  @property
  def contents(self) -> str:
    """Title and text, or whichever is there."""
    return f"{self.title} {self.text}".strip()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Query:
  """A query and its id in the collection."""

  query_id: str
  text: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
  """How relevant a document is to a query; above 0 it is."""

  query_id: str
  docno: str
  grade: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Positive:
  """A query and the docno of a document that is relevant to it."""

  query: Query
  docno: str


class Collection:
  """A collection on disk, read lazily.

  Attributes:
    root: its folder.
    name: its name, which stands in the manifest.
    identity: of the artifact.
    splits: those that have qrels, of train, dev, test and others.
    parent: where this is a rung of a ladder, the collection that has its
      documents; None for one that has its own.
  """

  def __init__(
    self,
    root: Path,
    manifest: artifacts.Manifest,
    *,
    parent: "Collection | None" = None,
  ):
    self.root = Path(root)
    self.parent = parent
    self.name = str(manifest.arguments.get("name", self.root.name))
    self.identity = manifest.identity
    found = {path.stem for path in (self.root / QRELS).glob("*.tsv")}
    known = [split for split in SPLITS if split in found]
    self.splits = tuple(known + sorted(found.difference(SPLITS)))

  @classmethod
  def open(cls, root: Path) -> "Collection":
    """Opens what `genret prepare` made, or a rung of `genret ladder`.

    Args:
      root: the artifact's folder.

    Returns:
      The collection; nothing but manifests has been read.

    Raises:
      ArtifactError: there is none, or it is a rung whose collection moved or
        changed.
    """
    try:
      manifest = artifacts.load(root)
      rung = manifest.stage == rungs.STAGE
      version = rungs.FORMAT_VERSION if rung else FORMAT_VERSION
      stage = rungs.STAGE if rung else STAGE
      artifacts.load(root, stage=stage, format_version=version)
    except ArtifactError as error:
      raise ArtifactError(
        f"{error} A collection is made by `genret prepare`."
      ) from error
    parent = cls.open(rungs.find_parent(root, manifest)) if rung else None
    return cls(root, manifest, parent=parent)

  def __repr__(self) -> str:
    return f"Collection({self.name!r}, {str(self.root)!r})"

  @functools.cached_property
  def summary(self) -> dict[str, Any]:
    """The counts that `genret prepare` reported."""
    return artifacts.read_json(self.root / SUMMARY)

  @property
  def num_documents(self) -> int:
    """N."""
    return self.summary["documents"]

  @functools.cached_property
  def docnos(self) -> Docnos:
    """The docnos, in corpus order, memory-mapped."""
    return Docnos.load(self.root / DOCNOS)

  def documents(self, rows: Iterable[int] | None = None) -> Iterator[Document]:
    """Yields documents.

    Args:
      rows: those to read, in this order, counted from 0 in corpus order;
        None for all. Ascending ones are read fastest.
    """
    if self.parent is not None:
      mine = self.parent_rows
      yield from self.parent.documents(
        mine if rows is None else (mine[row] for row in rows)
      )
      return
    path = self.root / CORPUS
    if rows is None:
      found = json_lines.read(path)
    else:
      found = json_lines.read_rows(path, self._offsets, rows)
    for row in found:
      yield Document(
        docno=row["_id"], title=row.get("title", ""), text=row["text"]
      )

  @functools.cached_property
  def parent_rows(self) -> np.ndarray:
    """A rung's rows in its parent, ascending, int32 [N], memory-mapped."""
    return np.load(self.root / rungs.ROWS, mmap_mode="r").view(np.ndarray)

  @functools.cached_property
  def _offsets(self) -> np.ndarray:
    return np.load(self.root / OFFSETS, mmap_mode="r").view(np.ndarray)

  def links(self) -> Iterator[links.Page]:
    """Yields the pages that documents are of, their paragraphs and anchors.

    Of a rung's collection those that the rung has documents of.

    Raises:
      UserError: the collection is not linked.
    """
    whole, rows = self, None
    while whole.parent is not None:
      mine = whole.parent_rows
      rows = mine if rows is None else mine[rows]
      whole = whole.parent
    path = whole.root / links.LINKS
    if not path.exists():
      raise UserError(
        f"Collection {self.name!r} has no {links.LINKS}: nothing is known of"
        " its pages, their paragraphs and the links between them. `genret"
        " prepare` writes it for KILT's layout, where pages have anchors; a"
        " collection that was prepared before it did so is prepared anew."
      )
    return links.read(path, self.documents, rows)

  def queries(self, split: str | None = None) -> Iterator[Query]:
    """Yields the queries, in file order.

    Args:
      split: only those that are judged there, or None for all.
    """
    if split is not None:
      yield from self.asked(self.qrels(split))
      return
    for row in json_lines.read(self.root / QUERIES):
      yield Query(query_id=row["_id"], text=row["text"])

  def asked(self, query_ids: Container[str]) -> Iterator[Query]:
    """Yields the queries of some ids, those of qrels say, in file order."""
    return (query for query in self.queries() if query.query_id in query_ids)

  def judgements(self, split: str) -> Iterator[Judgement]:
    """Yields the judgements of a split, in file order.

    Args:
      split: one of `splits`.

    Raises:
      UserError: the collection has no such split.
    """
    if split not in self.splits:
      raise UserError(
        f"Collection {self.name!r} has no split {split!r}."
        + suggest(split, self.splits)
      )
    path = self.root / QRELS / f"{split}.tsv"
    with open(path, encoding="utf-8", newline="\n") as file:
      next(file)
      for number, line in enumerate(file, start=2):
        try:
          query_id, docno, grade = line.rstrip("\n").split("\t")
          yield Judgement(query_id=query_id, docno=docno, grade=int(grade))
        except ValueError as error:
          raise DataError(str(error), path=path, line=number) from error

  def qrels(self, split: str) -> dict[str, dict[str, int]]:
    """Reads the judgements of a split.

    Args:
      split: one of `splits`.

    Returns:
      Query id -> docno -> grade, in file order.

    Raises:
      UserError: the collection has no such split.
    """
    out: dict[str, dict[str, int]] = {}
    for item in self.judgements(split):
      out.setdefault(item.query_id, {})[item.docno] = item.grade
    return out

  def positives(self, split: str, *, relevance: int = 1) -> Iterator[Positive]:
    """Yields each judged query with each of its relevant documents.

    Args:
      split: one of `splits`.
      relevance: the least grade that counts as relevant.

    Yields:
      Positives, queries in file order, documents in the order of the qrels.
    """
    qrels = self.qrels(split)
    for query in self.asked(qrels):
      for docno, grade in qrels[query.query_id].items():
        if grade >= relevance:
          yield Positive(query=query, docno=docno)


def write_corpus(folder: Path, documents: Iterable[Document]) -> int:
  """Writes a collection's documents and counts them.

  Beside the documents stand their docnos and where each line begins. In
  memory are 16 bytes a document, and no document.
  """
  (folder / DOCNOS).mkdir()
  with writing(folder / DOCNOS) as add:

    def rows() -> Iterator[dict[str, str]]:
      for document in documents:
        add(document.docno)
        yield {
          "_id": document.docno,
          "title": document.title,
          "text": document.text,
        }

    offsets = json_lines.write(folder / CORPUS, rows())
  np.save(folder / OFFSETS, offsets)
  return len(offsets) - 1


def write_queries(folder: Path, queries: Iterable[Query]) -> int:
  """Writes a collection's queries and counts them."""
  rows = ({"_id": query.query_id, "text": query.text} for query in queries)
  return len(json_lines.write(folder / QUERIES, rows)) - 1


def write_qrels(folder: Path, split: str, qrels: Qrels) -> None:
  """Writes the judgements of a split, under BEIR's header line."""
  path = folder / QRELS / f"{split}.tsv"
  path.parent.mkdir(exist_ok=True)
  with open(path, "w", encoding="utf-8", newline="\n") as file:
    file.write("\t".join(QRELS_HEADER) + "\n")
    for query_id, judged in qrels.items():
      file.writelines(f"{query_id}\t{d}\t{g}\n" for d, g in judged.items())


def write(
  folder: Path,
  *,
  documents: Iterable[Document],
  queries: Iterable[Query],
  qrels: Mapping[str, Qrels],
) -> None:
  """Writes a whole small collection, which `artifacts.building` then seals.

  Args:
    folder: an empty folder.
    documents: in corpus order, docnos distinct.
    queries: ids distinct.
    qrels: split -> its judgements.
  """
  summary = {
    "documents": write_corpus(folder, documents),
    "queries": write_queries(folder, queries),
  }
  for split, judged in qrels.items():
    write_qrels(folder, split, judged)
  artifacts.write_json(folder / SUMMARY, summary)
