"""What a collection's TFDS data sets hold, and in which shards."""

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from genret.core.collection import Collection, Query
from genret.core.errors import ConfigError

NAME = "genret_collection"
VERSION = "1.0.0"
SHARD_SIZE = 10_000  # examples at most
LEAST_SHARDS = 16  # as far as there are examples: a host reads whole shards

FEATURES: Mapping[str, Mapping[str, type]] = {
  "documents": {"row": np.int64, "docno": str, "title": str, "text": str},
  "queries": {"query_id": str, "text": str},
  "judgements": {
    "query_id": str,
    "query": str,
    "docno": str,
    "row": np.int64,
    "grade": np.int32,
  },
}

Example = Mapping[str, str | int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
  """One split of one config.

  Attributes:
    config: "documents", "queries" or "judgements".
    split: its name in TFDS.
    count: how many examples it has.
    examples: yields those of a range.
  """

  config: str
  split: str
  count: int
  examples: Callable[[range], Iterator[Example]]

  @property
  def num_shards(self) -> int:
    """How many files there are."""
    least = min(LEAST_SHARDS, self.count)
    return max(1, least, math.ceil(self.count / SHARD_SIZE))

  def shard(self, number: int) -> range:
    """The examples of one file; files are as even as can be."""
    start, stop = (
      self.count * i // self.num_shards for i in (number, number + 1)
    )
    return range(start, stop)

  def path(self, out: Path, shard: int) -> Path:
    """Names the file of a shard, as TFDS does."""
    number = f"{shard:05d}-of-{self.num_shards:05d}"
    file = f"{NAME}-{self.split}.tfrecord-{number}"
    return folder(out, self.config) / file


def folder(out: Path, config: str) -> Path:
  """Returns where the files of a config lie below TFDS's `data_dir`."""
  return Path(out) / NAME / config / VERSION


def documents_part(collection: Collection) -> Part:
  """Describes the documents; each shard reads its own range of rows."""

  def examples(rows: range) -> Iterator[Example]:
    for row, document in zip(rows, collection.documents(rows), strict=True):
      yield {
        "row": row,
        "docno": document.docno,
        "title": document.title,
        "text": document.text,
      }

  return Part(
    config="documents",
    split="corpus",
    count=collection.num_documents,
    examples=examples,
  )


def queries_part(collection: Collection) -> Part:
  """Describes the queries, judged or not; they are held in memory."""
  queries = list(collection.queries())

  def examples(places: range) -> Iterator[Example]:
    for i in places:
      yield {"query_id": queries[i].query_id, "text": queries[i].text}

  return Part(
    config="queries", split="queries", count=len(queries), examples=examples
  )


def judgements_parts(collection: Collection) -> list[Part]:
  """Describes the judgements, query by query; they are held in memory.

  Raises:
    ConfigError: two splits differ only in signs that TFDS does not allow.
  """
  names = {split: split_name(split) for split in collection.splits}
  if len(set(names.values())) < len(names):
    raise ConfigError(
      f"TFDS knows splits by letters, digits, - and _; of {', '.join(names)} "
      "two would have one name. Prepare them under other names."
    )
  return [_judged(collection, split, name) for split, name in names.items()]


def split_name(split: str) -> str:
  """Names a split as TFDS allows.

  >>> split_name("dev.small")
  'dev_small'
  """
  return re.sub(r"[^\w-]", "_", split)


def _judged(collection: Collection, split: str, name: str) -> Part:
  qrels = collection.qrels(split)
  judged: list[tuple[Query, str, int]] = [
    (query, docno, grade)
    for query in collection.asked(qrels)
    for docno, grade in qrels[query.query_id].items()
  ]
  rows = collection.docnos.rows([docno for _, docno, _ in judged])

  def examples(places: range) -> Iterator[Example]:
    for i in places:
      query, docno, grade = judged[i]
      yield {
        "query_id": query.query_id,
        "query": query.text,
        "docno": docno,
        "row": int(rows[i]),
        "grade": grade,
      }

  return Part(
    config="judgements", split=name, count=len(judged), examples=examples
  )
