"""BEIR's layout: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv."""

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from genret.core.collection import CORPUS, QRELS, QUERIES, Document, Query
from genret.core.errors import DataError
from genret.corpora import files
from genret.corpora.source import (
  Fault,
  Judgement,
  OnError,
  Source,
  Stream,
  checked,
  columns,
  grade,
  json_object,
)


def read(
  root: Path | str, *, name: str | None = None, on_error: OnError = "raise"
) -> Source:
  """Opens a collection in BEIR's layout.

  Args:
    root: the folder, or a tar archive of one (.tar, .tar.gz, .tar.xz), which
      is read as it is; its files may be gzipped.
    name: of the collection; None takes the folder's.
    on_error: "raise" at the first fault, or "skip" and count.

  Returns:
    The source. A split for every file in qrels/.

  Raises:
    DataError: a file is missing; while reading, what is wrong and where.
  """
  root = Path(root)
  found = files.find(root, marker=CORPUS)
  qrels = {
    PurePosixPath(path).stem: file
    for path, file in found.items()
    if path.startswith(f"{QRELS}/") and path.endswith(".tsv")
  }
  if QUERIES not in found:
    raise DataError(f"holds no {QUERIES}, plain or .gz", path=root)
  if not qrels:
    raise DataError(f"holds no {QRELS}/*.tsv, plain or .gz", path=root)
  used = {CORPUS: found[CORPUS], QUERIES: found[QUERIES]}
  used |= {f"{QRELS}/{split}.tsv": file for split, file in qrels.items()}
  return checked(
    name or name_of(root),
    documents=Stream(lines=found[CORPUS].lines, parse=_document),
    queries=Stream(lines=found[QUERIES].lines, parse=_query),
    qrels={
      split: Stream(lines=functools.partial(_rows, file), parse=_judgement)
      for split, file in sorted(qrels.items())
    },
    origin=lambda: files.digests(used),
    on_error=on_error,
  )


def name_of(root: Path) -> str:
  """Names a collection after its folder or archive.

  >>> name_of(Path("data/squad.tar.xz"))
  'squad'
  """
  name = root.resolve().name
  return name if root.is_dir() else name.split(".tar")[0].removesuffix(".tgz")


def _rows(file: files.File) -> Iterator[files.Line]:
  """Leaves out the header, which some who copy the layout forget."""
  lines = file.lines()
  first = next(lines)
  if first.value.lower().startswith((b"query-id\t", b"query_id\t")):
    return lines
  return itertools.chain([first], lines)


def _document(value: bytes) -> Document:
  row = json_object(value)
  return Document(
    docno=_id(row), title=_text(row, "title"), text=_text(row, "text")
  )


def _query(value: bytes) -> Query:
  row = json_object(value)
  return Query(query_id=_id(row), text=_text(row, "text"))


def _judgement(value: bytes) -> Judgement:
  query_id, docno, relevance = columns(value, 3)
  return Judgement(query_id=query_id, docno=docno, grade=grade(relevance))


def _id(row: dict[str, Any]) -> str:
  found = row.get("_id")
  if isinstance(found, int) and not isinstance(found, bool):
    return str(found)
  if not isinstance(found, str) or not found:
    raise Fault("missing _id", f"a string is expected and {found!r} came")
  return found


def _text(row: dict[str, Any], key: str) -> str:
  found = row.get(key)
  if found is None:
    return ""
  if not isinstance(found, str):
    raise Fault("broken JSON", f"{key!r} is {found!r}, not a string")
  return found
