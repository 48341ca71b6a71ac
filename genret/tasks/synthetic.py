"""Files of synthetic queries: one query and its document a line."""

import dataclasses
import gzip
import itertools
import json
import zlib
from collections.abc import Container, Iterator
from pathlib import Path

from genret.core.errors import DataError

BLOCK = 4096  # queries read at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticQuery:
  """A query that was made for a document."""

  docno: str
  text: str


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
      `docno` and `query` (other keys are of no concern) when the file is
      named *.jsonl; either may be gzipped, and is then named *.gz.
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
  return SyntheticQuery(docno=fields["docno"], text=fields["query"])
