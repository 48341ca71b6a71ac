"""Any data set that ir_datasets knows, by its id."""

import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from genret.core.collection import SPLITS, Document, Query
from genret.core.errors import ConfigError, DataError, suggest
from genret.corpora.files import Line
from genret.corpora.source import (
  Fault,
  Judgement,
  OnError,
  Source,
  Stream,
  checked,
)

# What ir_datasets' document types call the text, other than their title.
_TEXT_FIELDS = ("text", "body", "abstract", "contents")


def read(
  dataset_id: str,
  *,
  splits: Mapping[str, str] | None = None,
  name: str | None = None,
  on_error: OnError = "raise",
) -> Source:
  """Opens a data set of ir_datasets, which downloads it when first read.

  Args:
    dataset_id: its id, such as "beir/scifact" or "msmarco-passage".
    splits: our name of a split -> the id that has its judgements, such as
      {"test": "msmarco-passage/dev/small"}. None takes ID/train, ID/dev and
      ID/test as far as they are judged, or else ID itself as "test".
    name: of the collection; None takes the id.
    on_error: "raise" at the first fault, or "skip" and count.

  Returns:
    The source. Messages count items where a file would have lines.

  Raises:
    ConfigError: ir_datasets is not installed, or knows no such id.
    DataError: while reading, what is wrong and where.
  """
  library = _library()
  base = _load(library, dataset_id)
  if not base.has_docs():
    raise ConfigError(f"ir_datasets' {dataset_id!r} has no documents.")
  chosen = dict(splits) if splits else _splits(library, dataset_id)
  judged = {split: _load(library, other) for split, other in chosen.items()}
  for split, dataset in judged.items():
    if not (dataset.has_queries() and dataset.has_qrels()):
      raise ConfigError(
        f"ir_datasets' {chosen[split]!r} has no queries with judgements."
      )
  query_sets = {chosen[split]: data for split, data in judged.items()}
  return checked(
    name or dataset_id,
    documents=Stream(
      lines=functools.partial(_lines, dataset_id, "docs", base.docs_iter),
      parse=_document,
    ),
    queries=Stream(lines=lambda: _query_lines(query_sets), parse=_query),
    qrels={
      split: Stream(
        lines=functools.partial(
          _lines, chosen[split], "qrels", dataset.qrels_iter
        ),
        parse=_judgement,
      )
      for split, dataset in judged.items()
    },
    origin=lambda: {
      what: f"ir_datasets:{other}"
      for what, other in {"documents": dataset_id, **chosen}.items()
    },
    on_error=on_error,
  )


def _library() -> types.ModuleType:
  try:
    import ir_datasets
  except ImportError as error:
    raise ConfigError(
      "Reading by an ir_datasets id needs the package ir_datasets, which is "
      "not installed: pip install 'genret[ir]'"
    ) from error
  return ir_datasets


def _load(library: types.ModuleType, dataset_id: str) -> Any:
  try:
    return library.load(dataset_id)
  except KeyError as error:
    hint = suggest(dataset_id, library.registry)
    hint = hint if "mean" in hint else " https://ir-datasets.com lists them."
    raise ConfigError(
      f"ir_datasets knows no data set {dataset_id!r}.{hint}"
    ) from error


def _splits(library: types.ModuleType, dataset_id: str) -> dict[str, str]:
  known = set(library.registry)
  parts = {split: f"{dataset_id}/{split}" for split in SPLITS}
  found = {
    split: part
    for split, part in parts.items()
    if part in known and library.load(part).has_qrels()
  }
  return found or {"test": dataset_id}


def _lines(
  dataset_id: str, what: str, items: Callable[[], Iterable[Any]]
) -> Iterator[Line]:
  """Numbers the items and says at which one the library gave up."""
  path = f"ir_datasets:{dataset_id}/{what}"
  number = 0
  try:
    for number, item in enumerate(items(), start=1):
      yield Line(path=path, number=number, value=item)
  except Exception as error:  # whatever the library may raise
    raise DataError(
      f"ir_datasets cannot read on: {error}. (It takes the header line of "
      "BEIR's qrels for a judgement; a folder in BEIR's layout is better "
      "given to us by its path.)",
      path=path,
      line=number + 1,
    ) from error
  if number == 0:
    raise DataError("the file is empty", path=path)


def _query_lines(datasets: Mapping[str, Any]) -> Iterator[Line]:
  """Chains the queries of several ids, each query once.

  Parts of a data set often list queries of the whole; what two of them say
  alike is one query. What they say differently goes on, to be found out as
  a duplicate.
  """
  before: dict[str, str] = {}
  for dataset_id, dataset in datasets.items():
    own: dict[str, str] = {}
    for line in _lines(dataset_id, "queries", dataset.queries_iter):
      query_id, text = line.value.query_id, _query_text(line.value)
      if before.get(query_id) != text:
        own[query_id] = text
        yield line
    before |= own


def _document(value: Any) -> Document:
  fields = (getattr(value, name, None) for name in _TEXT_FIELDS)
  text = next((field for field in fields if isinstance(field, str)), None)
  if text is None:  # the library's own idea of the whole text
    return Document(
      docno=_string(value.doc_id), title="", text=_string(value.default_text())
    )
  title = getattr(value, "title", None) or ""
  return Document(docno=_string(value.doc_id), title=_string(title), text=text)


def _query(value: Any) -> Query:
  return Query(query_id=_string(value.query_id), text=_query_text(value))


def _query_text(value: Any) -> str:
  return _string(value.default_text())


def _judgement(value: Any) -> Judgement:
  relevance = value.relevance
  if not isinstance(relevance, int):
    raise Fault("bad grade", f"{relevance!r} is not a whole number")
  return Judgement(
    query_id=_string(value.query_id),
    docno=_string(value.doc_id),
    grade=relevance,
  )


def _string(value: Any) -> str:
  if not isinstance(value, str):
    raise Fault("not text", f"a string is expected and {value!r} came")
  return value
