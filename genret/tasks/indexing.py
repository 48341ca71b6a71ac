"""Indexing tasks: a representation of each document -> its docid.

Nothing here imports TensorFlow.
"""

import dataclasses
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genret.core.artifacts import file_hash
from genret.core.collection import Collection
from genret.tasks import representations
from genret.tasks.examples import TaskConfig, Texts, in_blocks
from genret.tasks.synthetic import (
  blocks_of_queries,
  is_relevant,
  queries_file,
  rows_of,
)

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstP(TaskConfig):
  """The first tokens of each document, once.

  Attributes:
    num_tokens: how many tokens, EOS not counted.
    title: whether the title stands before the text.
  """

  num_tokens: int = 64
  title: bool = True
  name: str = "firstp"

  def __post_init__(self):
    super().__post_init__()
    self.check(self.num_tokens > 0, "num_tokens must be at least 1")

  def texts(self, collection: Collection) -> Iterator[Texts]:
    """Yields each document."""
    return _documents(collection, title=self.title)

  def inputs(
    self, rows: Iterable[tuple[int, Sequence[int]]]
  ) -> Iterator[tuple[int, Sequence[int]]]:
    """Yields the head of each document."""
    return ((row, ids[: self.num_tokens]) for row, ids in rows)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DaQ(TaskConfig):
  """Random spans of each document ("document as query").

  The spans of a document depend on the seed and its place in the corpus,
  and on nothing else.

  Attributes:
    num_spans: how many a document.
    span_length: tokens in a span, EOS not counted.
    min_span_length: when given, a span's length is drawn from this to
      `span_length`.
    title: whether the title is part of what spans are drawn from.
    seed: draws the spans.
  """

  num_spans: int = 10
  span_length: int = 64
  min_span_length: int | None = None
  title: bool = True
  seed: int = 0
  name: str = "daq"

  def __post_init__(self):
    super().__post_init__()
    self.check(self.num_spans > 0, "num_spans must be at least 1")
    shortest = self.min_span_length
    if shortest is None:
      shortest = self.span_length
    self.check(
      1 <= shortest <= self.span_length,
      "1 <= min_span_length <= span_length must hold",
    )
    self.check(self.seed >= 0, "seed must be at least 0")

  def texts(self, collection: Collection) -> Iterator[Texts]:
    """Yields each document."""
    return _documents(collection, title=self.title)

  def inputs(
    self, rows: Iterable[tuple[int, Sequence[int]]]
  ) -> Iterator[tuple[int, Sequence[int]]]:
    """Yields the spans of each document."""
    for row, ids in rows:
      for span in representations.spans(
        ids,
        count=self.num_spans,
        length=self.span_length,
        min_length=self.min_span_length,
        rng=np.random.default_rng((self.seed, row)),
      ):
        yield row, span


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sentences(TaskConfig):
  """Each sentence of each document.

  Attributes:
    min_words: the fewest words of a sentence that is read.
    title: whether the title stands before each sentence.
  """

  min_words: int = 5
  title: bool = False
  name: str = "sentences"

  def __post_init__(self):
    super().__post_init__()
    self.check(self.min_words > 0, "min_words must be at least 1")

  def texts(self, collection: Collection) -> Iterator[Texts]:
    """Yields the sentences of each document."""
    return in_blocks(self._sentences(collection))

  def _sentences(self, collection: Collection) -> Iterator[tuple[int, str]]:
    for row, document in enumerate(collection.documents()):
      head = f"{document.title} " if self.title and document.title else ""
      for sentence in representations.sentences(
        document.text, min_words=self.min_words
      ):
        yield row, head + sentence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Titles(TaskConfig):
  """The title of each document that has one."""

  name: str = "titles"

  def texts(self, collection: Collection) -> Iterator[Texts]:
    """Yields the titles."""
    return in_blocks(
      (row, document.title)
      for row, document in enumerate(collection.documents())
      if document.title.strip()
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class D2Q(TaskConfig):
  """Synthetic queries of each document ("document to query").

  A rung of a ladder reads the file of its collection: queries of documents
  that only the collection has are left out.

  Attributes:
    path: a folder of `genret generate`, or a file: lines of
      `docno<TAB>query`, or JSON objects with `docno` and `query` when it is
      named *.jsonl; either may be gzipped.
    num_queries: at most so many of each document, the first in the file.
    relevance: the least grade that counts as relevant. Queries made for a
      lower one are left out, and counted; those made for none are read.
  """

  path: str
  num_queries: int | None = None
  relevance: int = dataclasses.field(default=1, metadata={"unless_set": True})
  name: str = "d2q"

  def __post_init__(self):
    super().__post_init__()
    self.check(
      self.num_queries is None or self.num_queries > 0,
      "num_queries must be at least 1, or None for all",
    )

  def texts(self, collection: Collection) -> Iterator[Texts]:
    """Yields the queries, in file order."""
    taken = np.zeros(len(collection.docnos), np.int32)
    number = low = 0
    for block in blocks_of_queries(self._file):
      rows = rows_of(block, collection, path=self._file, number=number)
      number += len(block)
      right = np.array([is_relevant(q, self.relevance) for q in block])
      low += int((~right).sum())
      mine = np.flatnonzero((rows >= 0) & right)
      kept = mine[self._kept(rows[mine], taken)]
      yield Texts(
        documents=rows[kept].tolist(), texts=[block[i].text for i in kept]
      )
    if low:
      _log.warning(
        "task %r leaves out %s of %s queries, made for a grade below %d",
        self.name,
        f"{low:,}",
        f"{number:,}",
        self.relevance,
      )

  def _kept(self, rows: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Says which queries of a block are read, and counts them in `taken`."""
    if self.num_queries is None:
      return np.arange(len(rows))
    order = np.argsort(rows, kind="stable")
    grouped = rows[order]
    first = np.searchsorted(grouped, grouped)  # of the same document
    place = np.empty(len(rows), np.int64)
    place[order] = np.arange(len(rows)) - first
    kept = np.flatnonzero(taken[rows] + place < self.num_queries)
    np.add.at(taken, rows[kept], 1)
    return kept

  def content(self) -> dict[str, Any]:
    """Returns the settings, the file by its hash: it may lie anywhere."""
    found = {**super().content(), "path": file_hash(self._file)}
    if self.relevance == 1:  # as before there was this setting
      del found["relevance"]
    return found

  @property
  def _file(self) -> Path:
    return queries_file(Path(self.path))


def _documents(collection: Collection, *, title: bool) -> Iterator[Texts]:
  texts = (d.contents if title else d.text for d in collection.documents())
  return in_blocks(zip(itertools.count(), texts, strict=False))
