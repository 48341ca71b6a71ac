"""What every reader returns, and the checks that all of them share."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, Literal, TypeVar

from genret.core.collection import Document, Judgement, Query
from genret.core.errors import ConfigError, DataError, suggest
from genret.core.links import SourcePage
from genret.corpora.files import Line
from genret.corpora.seen import Seen

OnError = Literal["raise", "skip"]
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
  """A collection as it is published; everything is read when asked for.

  Attributes:
    name: what the collection is called.
    documents: yields the documents, in the order of the source.
    queries: yields the queries likewise, judged or not.
    qrels: split -> yields its judgements. They are checked against the ids
      of documents and queries, which are read first if they were not yet.
    origin: input name -> what identifies it: a file's SHA-256, or the id of
      a public data set. Reads the files.
    skipped: counts what was left out, by kind, in the passes made so far.
      Empty with on_error="raise", which leaves nothing out.
    links: yields the pages that documents are of; None where the source has
      none.
  """

  name: str
  documents: Callable[[], Iterator[Document]]
  queries: Callable[[], Iterator[Query]]
  qrels: Mapping[str, Callable[[], Iterator[Judgement]]]
  origin: Callable[[], Mapping[str, str]]
  skipped: Callable[[], Mapping[str, int]]
  links: Callable[[], Iterator[SourcePage]] | None = None


class Fault(Exception):
  """What is wrong with one line.

  Args:
    kind: a few words by which such faults are counted.
    detail: what exactly came.
  """

  def __init__(self, kind: str, detail: str = ""):
    super().__init__(f"{kind}: {detail}" if detail else kind)
    self.kind = kind


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stream(Generic[T]):
  """One part of a source: where its lines come from, and what they mean.

  Attributes:
    lines: yields the lines.
    parse: turns a line's value into an item, or raises Fault.
  """

  lines: Callable[[], Iterator[Line]]
  parse: Callable[[Any], T]


def checked(
  name: str,
  *,
  documents: Stream[Document],
  queries: Stream[Query],
  qrels: Mapping[str, Stream[Judgement]],
  origin: Callable[[], Mapping[str, str]],
  on_error: OnError,
  links: Stream[SourcePage] | None = None,
) -> Source:
  """Makes a source of raw streams, checking each item as it passes.

  Args:
    name: what the collection is called.
    documents: its corpus.
    queries: its queries.
    qrels: split -> its judgements.
    origin: see `Source`.
    on_error: "raise" a DataError at the first fault, or "skip" and count.
    links: its pages, where there are any.

  Returns:
    The source.
  """
  if on_error not in ("raise", "skip"):
    hint = suggest(str(on_error), ("raise", "skip"))
    raise ConfigError(f"on_error is {on_error!r}.{hint}")
  checks = _Checks(documents, queries, on_error)
  return Source(
    name=name,
    documents=checks.documents,
    queries=checks.queries,
    qrels={
      split: lambda split=split, stream=stream: checks.judgements(split, stream)
      for split, stream in qrels.items()
    },
    origin=origin,
    skipped=checks.skipped,
    links=links and (lambda: checks.pages(links)),
  )


def decoded(value: bytes) -> str:
  """Decodes a line, or raises Fault where it is not UTF-8."""
  try:
    return value.decode("utf-8")
  except UnicodeDecodeError as error:
    raise Fault(
      "not UTF-8", f"{error.reason} {value[error.start]:#04x}"
    ) from error


def json_object(value: bytes) -> dict[str, Any]:
  """Parses a line of JSON, or raises Fault where it is no object."""
  text = decoded(value)
  try:
    row = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise Fault("broken JSON", str(error)) from error
  if not isinstance(row, dict):
    raise Fault("broken JSON", f"an object is expected, not {text[:40]!r}")
  return row


def columns(value: bytes, count: int, *, sep: str | None = "\t") -> list[str]:
  r"""Splits a line into its columns, or raises Fault for another number.

  >>> columns(b"7\twho won", 2)
  ['7', 'who won']
  """
  found = decoded(value).split(sep)
  if len(found) != count:
    raise Fault(
      "wrong column count", f"{count} are expected and {len(found)} came"
    )
  return found


def grade(text: str) -> int:
  """Reads a grade, or raises Fault where it is no whole number.

  >>> grade("-1")
  -1
  """
  digits = text.removeprefix("-")
  if not (digits.isascii() and digits.isdigit()):
    raise Fault("bad grade", f"{text!r} is not a whole number")
  return int(text)


class _Checks:
  """Remembers the ids that have passed; counts what has not."""

  def __init__(
    self,
    documents: Stream[Document],
    queries: Stream[Query],
    on_error: OnError,
  ):
    self._documents = documents
    self._queries = queries
    self._skip = on_error == "skip"
    self._docnos: Seen | None = None
    self._query_ids: Seen | None = None
    self._skipped: dict[str, Counter[str]] = {}

  def documents(self) -> Iterator[Document]:
    docnos = Seen()

    def check(document: Document) -> None:
      _check_id(document.docno)
      _check_text(document.contents, "title and text are both empty")
      _check_new(document.docno, docnos)

    yield from self._passing("document", self._documents, check)
    self._docnos = docnos

  def queries(self) -> Iterator[Query]:
    query_ids = Seen()

    def check(query: Query) -> None:
      _check_id(query.query_id)
      _check_text(query.text, "the query has no words")
      _check_new(query.query_id, query_ids)

    yield from self._passing("query", self._queries, check)
    self._query_ids = query_ids

  def judgements(
    self, split: str, stream: Stream[Judgement]
  ) -> Iterator[Judgement]:
    query_ids, docnos = self._known_ids()
    seen = Seen()

    def check(item: Judgement) -> None:
      if item.query_id not in query_ids:
        raise Fault("unknown query", f"no query has the id {item.query_id!r}")
      if item.docno not in docnos:
        raise Fault("unknown document", f"no document is {item.docno!r}")
      if not seen.add(f"{item.query_id}\t{item.docno}"):  # ids have no tab
        raise Fault(
          "duplicate judgement",
          f"document {item.docno!r} was judged for query {item.query_id!r} "
          "further up",
        )

    yield from self._passing(f"{split} judgement", stream, check)

  def pages(self, stream: Stream[SourcePage]) -> Iterator[SourcePage]:
    yield from self._passing("page", stream, lambda page: None)
    del self._skipped["page"]  # what is at fault there counted as a document

  def skipped(self) -> dict[str, int]:
    return {
      f"{what}: {kind}": count
      for what, counts in sorted(self._skipped.items())
      for kind, count in sorted(counts.items())
    }

  def _known_ids(self) -> tuple[Seen, Seen]:
    if self._docnos is None:
      for _ in self.documents():
        pass
    if self._query_ids is None:
      for _ in self.queries():
        pass
    return self._query_ids, self._docnos

  def _passing(
    self, what: str, stream: Stream[T], check: Callable[[T], None]
  ) -> Iterator[T]:
    """Yields the items without fault; what it skipped counts at the end."""
    counts: Counter[str] = Counter()
    for line in stream.lines():
      try:
        item = stream.parse(line.value)
        check(item)
      except Fault as fault:
        if not self._skip:
          message = f"{fault} (in a {what})"
          raise DataError(message, path=line.path, line=line.number) from fault
        counts[fault.kind] += 1
        continue
      yield item
    self._skipped[what] = counts


def _check_id(found: str) -> None:
  if not found:
    raise Fault("missing _id", "the id is empty")
  if len(found.split()) != 1 or found != found.strip():
    raise Fault(
      "white space in _id", f"{found!r}; TREC's files part columns by it"
    )
  _check_unicode(found)


def _check_new(found: str, seen: Seen) -> None:
  """Notes an id whose item has no other fault; refuses it again."""
  if not seen.add(found):
    raise Fault("duplicate _id", f"{found!r} stands further up as well")


def _check_text(text: str, message: str) -> None:
  if not text or text.isspace():
    raise Fault("empty text", message)
  _check_unicode(text)


def _check_unicode(text: str) -> None:
  try:
    text.encode("utf-8")
  except UnicodeEncodeError as error:
    raise Fault("not UTF-8", "half a surrogate pair, \\ud800…") from error
