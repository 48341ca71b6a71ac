"""MS MARCO's layout: collection.tsv, queries.SPLIT.tsv, qrels.SPLIT.tsv."""

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from genret.core.collection import Document, Query
from genret.core.errors import DataError
from genret.corpora import files
from genret.corpora.beir import name_of
from genret.corpora.source import (
  Judgement,
  OnError,
  Source,
  Stream,
  checked,
  columns,
  grade,
)

COLLECTION = "collection.tsv"


def read(
  root: Path | str, *, name: str | None = None, on_error: OnError = "raise"
) -> Source:
  """Opens a collection in MS MARCO's layout.

  No file has a header. A passage is `id, text` and a query `id, text`, parted
  by a tab; a judgement has TREC's four columns `query-id, 0, id, grade`,
  parted by tabs or blanks.

  Args:
    root: the folder, or a tar archive of one; its files may be gzipped.
    name: of the collection; None takes the folder's.
    on_error: "raise" at the first fault, or "skip" and count.

  Returns:
    The source. A split for every qrels file, named as the file names it
    ("train", "dev.small").

  Raises:
    DataError: a file is missing; while reading, what is wrong and where.
  """
  root = Path(root)
  found = files.find(root, marker=COLLECTION)
  queries = _whole(_parts(found, "queries"))
  qrels = _parts(found, "qrels")
  for what, parts in (("queries", queries), ("qrels", qrels)):
    if not parts:
      raise DataError(f"holds no {what}.*.tsv, plain or .gz", path=root)
  used = {COLLECTION: found[COLLECTION]}
  used |= {f"queries.{part}.tsv": file for part, file in queries.items()}
  used |= {f"qrels.{part}.tsv": file for part, file in qrels.items()}
  return checked(
    name or name_of(root),
    documents=Stream(lines=found[COLLECTION].lines, parse=_document),
    queries=Stream(lines=lambda: _all_lines(queries), parse=_query),
    qrels={
      split: Stream(lines=file.lines, parse=_judgement)
      for split, file in qrels.items()
    },
    origin=lambda: files.digests(used),
    on_error=on_error,
  )


def _parts(found: Mapping[str, files.File], what: str) -> dict[str, files.File]:
  """Returns part -> file of the files WHAT.PART.tsv."""
  pattern = re.compile(rf"{what}\.(.+)\.tsv")
  matches = {name: pattern.fullmatch(name) for name in sorted(found)}
  return {m[1]: found[name] for name, m in matches.items() if m}


def _whole(parts: Mapping[str, files.File]) -> dict[str, files.File]:
  """Leaves out parts of other files: dev.small where there is dev."""
  return {
    part: file
    for part, file in parts.items()
    if not any(part.startswith(f"{other}.") for other in parts)
  }


def _all_lines(parts: Mapping[str, files.File]) -> Iterator[files.Line]:
  return itertools.chain.from_iterable(f.lines() for f in parts.values())


def _document(value: bytes) -> Document:
  docno, text = columns(value, 2)
  return Document(docno=docno, title="", text=text)


def _query(value: bytes) -> Query:
  query_id, text = columns(value, 2)
  return Query(query_id=query_id, text=text)


def _judgement(value: bytes) -> Judgement:
  query_id, _, docno, relevance = columns(value, 4, sep=None)
  return Judgement(query_id=query_id, docno=docno, grade=grade(relevance))
