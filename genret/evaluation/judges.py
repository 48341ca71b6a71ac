"""Judgements of others than the collection's: of a language model, say."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from genret.core.collection import QRELS_HEADER
from genret.core.errors import ConfigError, DataError

_COLUMNS = {3: (0, 1, 2), 4: (0, 2, 3)}  # BEIR's; TREC's, with an iteration


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judge:
  """A file of judgements, and what its grades mean.

  Attributes:
    path: The file.
    relevance: The lowest grade that counts as relevant.
  """

  path: Path
  relevance: int

  @classmethod
  def parse(cls, text: str) -> "Judge":
    """Reads FILE:GRADE.

    >>> Judge.parse("llm.tsv:2").relevance
    2

    Raises:
      ConfigError: There is no grade after the file's name.
    """
    path, colon, grade = text.rpartition(":")
    if not (colon and path and grade.removeprefix("-").isdigit()):
      raise ConfigError(
        f"{text!r} names no judge: expected FILE:GRADE, as in llm.tsv:2, where"
        " GRADE is the lowest that counts as relevant."
      )
    return cls(path=Path(path), relevance=int(grade))


def read(path: Path) -> dict[str, dict[str, int]]:
  """Reads judgements in TREC's or BEIR's layout.

  A line is `query-id iteration docno grade` or `query-id docno grade`, with
  white space between; BEIR's header may stand above.

  Args:
    path: The file.

  Returns:
    Query id -> docno -> grade, in file order.

  Raises:
    DataError: says at which line the file departs from the format; a document
      that is judged twice for a query must have one grade.
  """
  if not Path(path).is_file():
    raise DataError("there is no such file of judgements", path=path)
  out: dict[str, dict[str, int]] = {}
  for number, (query, docno, grade) in _rows(Path(path)):
    judged = out.setdefault(query, {})
    if judged.setdefault(docno, grade) != grade:
      raise DataError(
        f"document {docno!r} has grade {judged[docno]} for query {query!r}"
        f" further up, and {grade} here",
        path=path,
        line=number,
      )
  if not out:
    raise DataError("there are no judgements in it", path=path)
  return out


def _rows(path: Path) -> Iterator[tuple[int, tuple[str, str, int]]]:
  with open(path, "rb") as file:
    for number, raw in enumerate(file, start=1):
      try:
        found = _parsed(raw, is_first=number == 1)
      except ValueError as error:  # that of UTF-8 is one too
        raise DataError(str(error), path=path, line=number) from error
      if found is not None:
        yield number, found


def _parsed(raw: bytes, *, is_first: bool) -> tuple[str, str, int] | None:
  """Reads a line; None of BEIR's header."""
  parts = raw.decode("utf-8").split()
  if is_first and tuple(parts) == QRELS_HEADER:
    return None
  if len(parts) not in _COLUMNS:
    raise ValueError(
      f"{len(parts)} columns; expected 'query-id docno grade' or"
      " 'query-id 0 docno grade'"
    )
  query, docno, grade = (parts[i] for i in _COLUMNS[len(parts)])
  return query, docno, int(grade)
