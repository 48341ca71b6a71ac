"""Ranked results, and the files they are kept in."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from genret.core import artifacts
from genret.core.errors import DataError, UserError


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
  """A document found for a query."""

  docno: str
  score: float


Run = Mapping[str, Sequence[Hit]]  # query id -> hits, best first

_SIGN = 1 << 31  # of a float32's bits
_SUBNORMALS = (1 << 23) - 1  # how many lie between 0 and the normal floats


def decreasing(scores: np.ndarray) -> np.ndarray:
  """Lowers scores just so far that each is below the one before it.

  Evaluation tools order a run by its scores, as 32-bit floats, and break
  ties as they please. These scores leave no tie: each is the largest float32
  that is at most its own score and below its predecessor. Numbers too small
  for a normal float32 count as 0, as some processors see them.

  >>> [float(s) for s in decreasing([2.0, 1.0, 1.0])]
  [2.0, 1.0, 0.9999999403953552]

  Args:
    scores: finite scores [K], best first.

  Returns:
    float32 [K], strictly decreasing.

  Raises:
    UserError: a score is not finite as float32.
  """
  with np.errstate(over="ignore"):
    values = np.asarray(scores, np.float64).astype(np.float32)
  if not np.isfinite(values).all():
    raise UserError("Scores of a run must be finite 32-bit floats.")
  bits = values.view(np.uint32).astype(np.int64)
  size = np.maximum((bits & ~_SIGN) - _SUBNORMALS, 0)
  ranks = np.where(bits & _SIGN, -size, size)  # neighbours differ by 1
  place = np.arange(len(ranks))
  ranks = np.minimum.accumulate(ranks + place) - place
  size = np.where(ranks, np.abs(ranks) + _SUBNORMALS, 0)
  bits = np.where(ranks < 0, size | _SIGN, size)
  return bits.astype(np.uint32).view(np.float32)


def write_trec(path: Path, run: Run, *, tag: str) -> None:
  """Writes a run in TREC's format: qid Q0 docno rank score tag.

  Scores are written with the nine digits that tell float32s apart, after
  `decreasing`, so that every reader sees the order of the run.

  Args:
    path: the file.
    run: query id -> hits, best first.
    tag: names the run; one word.

  Raises:
    UserError: hits are not best first, a document is twice among a query's
      hits, or an id holds white space.
  """
  _check_word(tag, "tag")
  with artifacts.writing(path) as file:
    for query_id, hits in run.items():
      _check_hits(query_id, hits)
      scores = decreasing([hit.score for hit in hits])
      file.writelines(
        f"{query_id} Q0 {hit.docno} {rank} {score:.9g} {tag}\n"
        for rank, (hit, score) in enumerate(
          zip(hits, scores.tolist(), strict=True), start=1
        )
      )


def write_msmarco(path: Path, run: Run) -> None:
  """Writes a run in MS MARCO's format: qid, docno, rank between tabs."""
  with artifacts.writing(path) as file:
    for query_id, hits in run.items():
      _check_hits(query_id, hits)
      file.writelines(
        f"{query_id}\t{hit.docno}\t{rank}\n"
        for rank, hit in enumerate(hits, start=1)
      )


def read_trec(path: Path) -> dict[str, list[Hit]]:
  """Reads a run in TREC's format.

  Args:
    path: the file; a query's lines may stand anywhere.

  Returns:
    Query id -> hits, best score first, equal scores in file order.

  Raises:
    DataError: says at which line the file departs from the format.
  """
  run: dict[str, dict[str, Hit]] = {}
  for number, line in _lines(path):
    try:
      query_id, hit = _parse(line)
    except ValueError as error:
      raise DataError(str(error), path=path, line=number) from error
    hits = run.setdefault(query_id, {})
    if hit.docno in hits:
      raise DataError(
        f"document {hit.docno!r} stands twice for query {query_id!r}",
        path=path,
        line=number,
      )
    hits[hit.docno] = hit
  return {
    query_id: sorted(hits.values(), key=lambda hit: -hit.score)
    for query_id, hits in run.items()
  }


def _lines(path: Path) -> Iterator[tuple[int, str]]:
  with open(path, "rb") as file:
    for number, raw in enumerate(file, start=1):
      try:
        yield number, raw.decode("utf-8")
      except UnicodeDecodeError as error:
        raise DataError("not UTF-8", path=path, line=number) from error


def _parse(line: str) -> tuple[str, Hit]:
  columns = line.split()
  if len(columns) != 6:
    raise ValueError(
      f"{len(columns)} columns; a TREC run has six: "
      "query-id Q0 docno rank score tag"
    )
  query_id, _, docno, rank, score, _ = columns
  if not rank.isascii() or not rank.lstrip("-").isdigit():
    raise ValueError(f"rank {rank!r} is not a whole number")
  try:
    value = float(score)
  except ValueError:
    value = math.nan
  if not math.isfinite(value):
    raise ValueError(f"score {score!r} is not a finite number")
  return query_id, Hit(docno=docno, score=value)


def _check_hits(query_id: str, hits: Sequence[Hit]) -> None:
  _check_word(query_id, "query id")
  seen = set()
  last = math.inf
  for hit in hits:
    _check_word(hit.docno, "docno")
    if hit.docno in seen:
      raise UserError(
        f"Document {hit.docno!r} stands twice among the hits of query "
        f"{query_id!r}; a run names each document once."
      )
    if hit.score > last:
      raise UserError(
        f"The hits of query {query_id!r} are not best first: "
        f"{hit.docno!r} scores {hit.score}, the hit before it {last}."
      )
    seen.add(hit.docno)
    last = hit.score


def _check_word(word: str, name: str) -> None:
  if not word or len(word.split()) != 1 or word != word.strip():
    raise UserError(
      f"The {name} {word!r} cannot stand in a run file, whose columns are "
      "parted by white space: it must be one word."
    )
