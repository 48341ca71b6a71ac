"""A rung: rows of a collection, and the judgements that go with them."""

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from genret.core import artifacts, collection, rungs
from genret.core.collection import Collection
from genret.core.docnos import Docnos
from genret.corpora.judged import TEST, TRAIN, Judged, Judgements


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rung:
  """A part of a collection.

  Attributes:
    documents: rows of the collection, ascending, int32 [N].
    splits: name -> split of the collection -> which of its judgements, in
      file order, are taken from there, bool [J].
    changes: what had to be left out, in words -> how often.
  """

  documents: np.ndarray
  splits: Mapping[str, Mapping[str, np.ndarray]]
  changes: Mapping[str, int] = dataclasses.field(default_factory=dict)


def whole(judged: Judged) -> Rung:
  """Returns the rung that is the collection itself."""
  return Rung(
    documents=np.arange(judged.num_documents, dtype=np.int32),
    splits={
      split: {split: np.ones(len(found), bool)}
      for split, found in judged.splits.items()
    },
  )


def restricted(
  found: Judgements, documents: np.ndarray, queries: np.ndarray | None = None
) -> np.ndarray:
  """Chooses the judgements of queries that have a positive among documents.

  Args:
    found: the judgements of a split.
    documents: which documents there are, bool [N].
    queries: which queries may be chosen, bool [Q]; None for all.

  Returns:
    Which judgements: of those queries, on those documents; bool [J].
  """
  there = documents[found.documents]
  if queries is not None:
    there = there & queries[found.queries]
  answered = np.zeros(found.queries.max(initial=-1) + 1, bool)
  answered[found.queries[there & found.positive]] = True
  return there & answered[found.queries]


def fingerprints(source: Collection) -> np.ndarray:
  """Hashes the contents of every document, to count those that are equal.

  Returns:
    64 bits each, uint64 [N]; documents pass one by one.
  """
  found = bytearray()
  with tqdm(
    total=source.num_documents,
    desc="reading documents",
    unit=" documents",
    delay=2,
    leave=False,
  ) as progress:
    for document in source.documents():
      contents = document.contents.encode("utf-8")
      found += hashlib.blake2b(contents, digest_size=8).digest()
      progress.update()
  return np.frombuffer(found, np.uint64)


def summary(
  judged: Judged, rung: Rung, *, docnos: Docnos, contents: np.ndarray
) -> dict[str, Any]:
  """Counts what a rung holds, in the terms of `genret prepare` and more.

  Args:
    judged: the collection's judgements.
    rung: the part of it.
    docnos: of the rung.
    contents: fingerprints of all documents of the collection.

  Returns:
    Counts of documents, queries and judgements; `covered`, the documents
    that have a training query here; `coverage`, the share of test positives
    whose document has one, or None; `duplicates`, how many documents could
    go without a text being lost; `checksum`, of the list of docnos.
  """
  parts = {split: _united(judged, rung, split) for split in rung.splits}
  covered = np.zeros(judged.num_documents, bool)
  if TRAIN in parts:
    covered[parts[TRAIN].documents[parts[TRAIN].positive]] = True
  test = parts.get(TEST)
  asked = [] if test is None else test.documents[test.positive]
  queries = [np.unique(part.queries) for part in parts.values()]
  num_documents = len(rung.documents)
  return {
    "documents": num_documents,
    "queries": len(np.unique(np.concatenate([[], *queries]))),
    "unjudged": 0,
    "splits": {
      split: {
        "queries": len(np.unique(part.queries)),
        "judgements": len(part),
        "positives": int(part.positive.sum()),
      }
      for split, part in parts.items()
    },
    "covered": int(covered[rung.documents].sum()),
    "coverage": float(covered[asked].mean()) if len(asked) else None,
    "duplicates": num_documents - len(np.unique(contents[rung.documents])),
    "checksum": docnos.checksum,
    "changes": dict(rung.changes),
    "skipped": {},
  }


def write(
  folder: Path,
  source: Collection,
  *,
  judged: Judged,
  rung: Rung,
  docnos: Docnos,
) -> None:
  """Writes rows, docnos, queries and judgements of a rung, not its texts.

  Args:
    folder: an empty folder.
    source: the collection.
    judged: its judgements.
    rung: the part of it.
    docnos: of the rung.
  """
  np.save(folder / rungs.ROWS, rung.documents)
  (folder / collection.DOCNOS).mkdir()
  docnos.save(folder / collection.DOCNOS)
  asked = np.zeros(len(judged.query_ids), bool)
  (folder / collection.QRELS).mkdir()
  for split, parts in rung.splits.items():
    path = folder / collection.QRELS / f"{split}.tsv"
    header = "\t".join(collection.QRELS_HEADER) + "\n"
    with open(path, "wb") as file:
      file.write(header.encode())
      for origin, chosen in parts.items():
        asked[judged.splits[origin].queries[chosen]] = True
        lines = source.root / collection.QRELS / f"{origin}.tsv"
        _copy(lines, itertools.chain([False], chosen), file)
  with open(folder / collection.QUERIES, "wb") as file:
    _copy(source.root / collection.QUERIES, asked, file)


def write_summary(
  folder: Path, figures: Mapping[str, Any], of_whole: Mapping[str, Any]
) -> None:
  """Writes the counts of a rung, and beside them the collection's."""
  artifacts.write_json(
    folder / collection.SUMMARY, {**figures, "collection": dict(of_whole)}
  )


def _copy(path: Path, chosen: Iterable[bool], file: Any) -> None:
  with open(path, "rb") as lines:
    file.writelines(itertools.compress(lines, chosen))


def _united(judged: Judged, rung: Rung, split: str) -> Judgements:
  """Collects the judgements of a rung's split from where they are."""
  parts = [
    (judged.splits[origin], chosen)
    for origin, chosen in rung.splits[split].items()
  ]
  none = np.zeros(0, np.int32)
  return Judgements(
    queries=np.concatenate([none, *(p.queries[c] for p, c in parts)]),
    documents=np.concatenate([none, *(p.documents[c] for p, c in parts)]),
    positive=np.concatenate(
      [none.astype(bool), *(p.positive[c] for p, c in parts)]
    ),
  )
