"""Files of synthetic queries: one query and its document a line."""

import dataclasses
import gzip
import itertools
import json
import zlib
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import ArtifactError, DataError
from genret.corpora import embedded

BLOCK = 4096  # queries read at a time
QUERIES = "queries.jsonl"
SHIPPED = Path("squad-smollm2")
"""Names the synthetic queries that ship with genret, of its collection."""
STAGES = ("generate", "prompt", "filter")
"""The stages whose artifact is a folder of synthetic queries."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticQuery:
  """A query that was made for a document.

  Attributes:
    docno: of the document.
    text: the query.
    log_probability: of the whole query by what made it, where that is known.
    generator: names what made it; empty where nobody said.
    grade: how relevant the document was to be, where that was asked for.
  """

  docno: str
  text: str
  log_probability: float | None = None
  generator: str = ""
  grade: int | None = None


def is_relevant(query: SyntheticQuery, relevance: int) -> bool:
  """Says whether a query may stand for its document.

  >>> query = SyntheticQuery(docno="d1", text="who", grade=1)
  >>> is_relevant(query, 1), is_relevant(query, 2)
  (True, False)

  Args:
    query: one made for no grade always may.
    relevance: the least grade that counts as relevant.
  """
  return query.grade is None or query.grade >= relevance


def write_line(query: SyntheticQuery) -> str:
  """Words a query as a line of a *.jsonl file.

  >>> query = SyntheticQuery(docno="d1", text="who", generator="t5")
  >>> print(write_line(query), end="")
  {"docno": "d1", "query": "who", "log_probability": null, "generator": "t5"}

  Args:
    query: any; a grade is written where there is one.

  Returns:
    The line with its newline, the keys in an order that never changes.
  """
  fields = {
    "docno": query.docno,
    "query": query.text,
    "log_probability": query.log_probability,
    "generator": query.generator,
  }
  if query.grade is not None:
    fields["grade"] = query.grade
  return json.dumps(fields, ensure_ascii=False, allow_nan=False) + "\n"


def queries_file(path: Path) -> Path:
  """Finds the file of queries that a path names.

  Args:
    path: an artifact of `STAGES`, or a file as `read_queries` takes it; or
      "squad-smollm2", where nothing has that name, for those that ship.

  Returns:
    The artifact's file, the shipped one, or the path as it came.

  Raises:
    ArtifactError: a folder that holds no finished queries.
  """
  path = Path(path)
  if path == SHIPPED and not path.exists():
    return embedded.squad_queries()
  if not path.is_dir():
    return path
  manifest = artifacts.load(path)
  if manifest.stage not in STAGES:
    raise ArtifactError(
      f"{path} was made by stage {manifest.stage!r}, which makes no synthetic"
      " queries. Give a folder of `genret generate`, `genret prompt` or"
      " `genret filter`, or a file of queries."
    )
  return path / QUERIES


def read_queries(
  path: Path, *, docnos: Container[str] | None = None
) -> Iterator[SyntheticQuery]:
  r"""Reads synthetic queries, and checks every line.

  >>> import tempfile
  >>> path = Path(tempfile.mkdtemp()) / "queries.tsv"
  >>> _ = path.write_text("d1\twho built it\nd2\twhen was it built\n")
  >>> [(q.docno, q.text) for q in read_queries(path, docnos={"d1", "d2"})]
  [('d1', 'who built it'), ('d2', 'when was it built')]

  Args:
    path: lines of `docno<TAB>query`, or JSON objects with the strings
      `docno` and `query` when the file is named *.jsonl, and as they may be
      `log_probability`, `generator` and `grade` (other keys are of no
      concern); either may be gzipped, and is then named *.gz.
    docnos: the docnos of the collection; None leaves them unchecked.

  Yields:
    The queries, in file order.

  Raises:
    DataError: says file and line of what is wrong: not UTF-8, not two
      columns, broken JSON, a missing key, an empty query, a docno that the
      collection does not have, or a file without queries.
  """
  name = path.name.removesuffix(".gz")
  parse = _from_json if name.endswith(".jsonl") else _from_columns
  number = 0
  for number, line in enumerate(_lines(path), start=1):
    try:
      query = parse(line.decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError as error:
      message = f"not UTF-8: {error.reason} at byte {error.start + 1}"
      raise DataError(message, path=path, line=number) from error
    except ValueError as error:
      raise DataError(str(error), path=path, line=number) from error
    if not query.text.strip():
      raise DataError("the query is empty", path=path, line=number)
    if docnos is not None and query.docno not in docnos:
      raise DataError(unknown_docno(query.docno), path=path, line=number)
    yield query
  if not number:
    raise DataError("the file is empty; it has no query", path=path)


def blocks_of_queries(path: Path) -> Iterator[list[SyntheticQuery]]:
  """Reads synthetic queries some thousands at a time; docnos unchecked.

  Args:
    path: as in `read_queries`.

  Yields:
    Queries of consecutive lines; each line of the file is one query.

  Raises:
    DataError: as in `read_queries`.
  """
  queries = read_queries(path)
  while block := list(itertools.islice(queries, BLOCK)):
    yield block


def rows_of(
  queries: Sequence[SyntheticQuery],
  collection: Collection,
  *,
  path: Path,
  number: int,
) -> np.ndarray:
  """Finds the documents of queries.

  Args:
    queries: of consecutive lines.
    collection: whose documents they are. A rung of a ladder may be given
      queries of all its collection.
    path: the file of the queries.
    number: lines of the file before these.

  Returns:
    The row of each query's document, int32; -1 where only the collection of
    a rung has it.

  Raises:
    DataError: says the line of the first query of an unknown document.
  """
  rows = collection.docnos.find([query.docno for query in queries])
  while collection.parent is not None:
    collection = collection.parent
  others = np.flatnonzero(rows < 0)
  found = collection.docnos.find([queries[i].docno for i in others])
  for i in others[found < 0].tolist():
    message = unknown_docno(queries[i].docno)
    raise DataError(message, path=path, line=number + i + 1)
  return rows


def unknown_docno(docno: str) -> str:
  """Says what is wrong with a query whose document is not there."""
  return (
    f"docno {docno!r} is not in the collection; these queries were made for "
    "another one, or for another version of it"
  )


def _lines(path: Path) -> Iterator[bytes]:
  opener = gzip.open if path.name.endswith(".gz") else open
  try:
    with opener(path, "rb") as file:
      yield from file
  except (OSError, EOFError, zlib.error) as error:
    reason = getattr(error, "strerror", None) or error
    message = f"synthetic queries cannot be read: {reason}"
    raise DataError(message, path=path) from error


def _from_columns(line: str) -> SyntheticQuery:
  columns = line.split("\t")
  if len(columns) != 2:
    raise ValueError(
      f"expected docno<TAB>query; {len(columns)} columns came: {line[:80]!r}"
    )
  return SyntheticQuery(docno=columns[0], text=columns[1])


def _from_json(line: str) -> SyntheticQuery:
  try:
    fields = json.loads(line)
  except ValueError as error:
    raise ValueError(f"broken JSON: {error}") from error
  if not isinstance(fields, dict):
    raise ValueError(f"expected a JSON object; {line[:80]!r} came")
  for key in ("docno", "query"):
    if not isinstance(fields.get(key), str):
      raise ValueError(f"expected a string under {key!r}: {line[:80]!r}")
  return SyntheticQuery(
    docno=fields["docno"],
    text=fields["query"],
    log_probability=_optional(fields, "log_probability", (int, float)),
    generator=_optional(fields, "generator", (str,)) or "",
    grade=_optional(fields, "grade", (int,)),
  )


def _optional(
  fields: Mapping[str, Any], key: str, types: tuple[type, ...]
) -> Any:
  """Returns what stands under a key, None where nothing does."""
  value = fields.get(key)
  if value is None or type(value) in types:
    return value
  wanted = " or ".join(kind.__name__ for kind in types)
  raise ValueError(f"expected {wanted} or null under {key!r}: {value!r} came")
