"""Lists of documents and queries that others published, as rungs."""

import dataclasses
import gzip
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from genret.core.artifacts import file_hash
from genret.core.collection import Collection
from genret.core.docnos import Docnos
from genret.core.errors import ConfigError, DataError
from genret.corpora.files import BROKEN, Line
from genret.corpora.judged import TRAIN, Judged
from genret.corpora.rung import Rung, restricted

DOCUMENTS = "documents"

_MARK = b"\xef\xbb\xbf"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
  """Which part of a collection others have used.

  A list is a file of ids: one a line, of which the first column counts where
  there are tabs, or a JSON list (.json); plain or gzipped.

  Attributes:
    docnos: the file of documents; None for no list at all.
    name: what the part is called, "nq320k-nci"; None takes the file's name.
    queries: split -> the file of its queries, which may come from any split
      of the collection; None leaves every query in its split.
    expected: "documents" or a split -> how many there must be.
    checksum: what the list of documents must have, in corpus order (it is
      printed, and SHA-256 of one docno a line); None for any.
  """

  docnos: str | None = None
  name: str | None = None
  queries: Mapping[str, str] | None = None
  expected: Mapping[str, int] | None = None
  checksum: str | None = None

  def __post_init__(self):
    if self.docnos is None and (self.name or self.queries or self.expected):
      raise ConfigError(
        "The name, queries and expected counts of a published list go with"
        " its documents: give --docnos=FILE."
      )
    if self.name and (self.name != Path(self.name).name or self.name[0] == "."):
      raise ConfigError(f"{self.name!r} cannot be the name of a folder.")

  @property
  def label(self) -> str:
    """The name, of which `docnos` is the source where none was given."""
    return self.name or Path(self.docnos).name.partition(".")[0]

  def inputs(self) -> dict[str, str]:
    """Hashes the files, which identifies what is imported.

    Raises:
      DataError: one is not there.
    """
    paths = {"docnos": self.docnos}
    paths |= {f"queries of {s}": p for s, p in (self.queries or {}).items()}
    for path in paths.values():
      if not Path(path).is_file():
        raise DataError("there is no such list", path=path)
    return {name: file_hash(Path(path)) for name, path in paths.items()}

  def rung(self, collection: Collection, judged: Judged) -> Rung:
    """Looks the ids up and restricts the judgements to them.

    A query none of whose positives is listed is left out and counted.

    Args:
      collection: which the ids are of.
      judged: its judgements.

    Raises:
      DataError: an id is unknown or stands twice, a training query is in
        another split too, or there are not as many as expected.
    """
    what = f"docno of collection {collection.name!r}"
    rows = _rows(Path(self.docnos), collection.docnos, what)
    self._count(DOCUMENTS, len(rows), self.docnos)
    rows = np.sort(rows)
    if self.checksum not in (None, collection.docnos.take(rows).checksum):
      raise DataError(
        "the documents have the checksum"
        f" {collection.docnos.take(rows).checksum}, not {self.checksum}; they"
        " are others, or the collection is in another order",
        path=self.docnos,
      )
    there = np.zeros(judged.num_documents, bool)
    there[rows] = True
    splits, changes = {}, {}
    for split, queries in self._queries(collection, judged).items():
      splits[split] = {
        origin: chosen
        for origin, found in judged.splits.items()
        if (queries is not None or origin == split)
        and (chosen := restricted(found, there, queries)).any()
      }
      changes[f"{split} queries without a positive in the list"] = _left_out(
        judged, splits[split], queries, split=split
      )
    return Rung(documents=rows, splits=splits, changes=changes)

  def _queries(
    self, collection: Collection, judged: Judged
  ) -> dict[str, np.ndarray | None]:
    """Reads which queries each split has; None for those it has anyway."""
    if self.queries is None:
      return dict.fromkeys(judged.splits)
    out = {}
    what = f"query id of collection {collection.name!r}"
    for split, path in self.queries.items():
      rows = _rows(Path(path), judged.query_ids, what)
      self._count(split, len(rows), path)
      out[split] = np.zeros(len(judged.query_ids), bool)
      out[split][rows] = True
    for split in out.keys() - {TRAIN} if TRAIN in out else ():
      both = np.flatnonzero(out[TRAIN] & out[split])
      if len(both):
        raise DataError(
          f"{judged.query_ids[both[0]]!r} is a query of {TRAIN} too"
          f" ({len(both):,} are): what is tested must not be trained on",
          path=self.queries[split],
        )
    return out

  def _count(self, what: str, found: int, path: str) -> None:
    wanted = (self.expected or {}).get(what, found)
    if found != wanted:
      raise DataError(
        f"{wanted:,} ids are expected ({what}) and {found:,} came", path=path
      )


def read_ids(path: Path) -> Iterator[Line]:
  r"""Reads a list of ids.

  >>> import tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = Path(folder, "ids.tsv")
  ...   _ = path.write_text("d1\tAvocet\nd2\tWren\n")
  ...   print([line.value for line in read_ids(path)])
  ['d1', 'd2']

  Args:
    path: one id a line, or a JSON list in a .json file; plain or .gz.

  Yields:
    Ids, and the line each is in (in a JSON list its place, from 1).

  Raises:
    DataError: the file is no such list.
  """
  opener = gzip.open if path.name.endswith(".gz") else open
  try:
    with opener(path, "rb") as file:
      if path.name.removesuffix(".gz").endswith(".json"):
        yield from _elements(path, file.read())
      else:
        yield from _first_columns(path, file)
  except (*BROKEN, UnicodeDecodeError) as error:
    raise DataError(f"cannot be read: {error}", path=path) from error


def _first_columns(path: Path, lines: Iterable[bytes]) -> Iterator[Line]:
  for number, raw in enumerate(lines, start=1):
    line = raw.removeprefix(_MARK if number == 1 else b"")
    found = line.rstrip(b"\r\n").split(b"\t")[0].decode("utf-8").strip()
    if not found:
      raise DataError("an id is expected", path=path, line=number)
    yield Line(path=str(path), number=number, value=found)


def _elements(path: Path, text: bytes) -> Iterator[Line]:
  try:
    found = json.loads(text)
  except ValueError as error:
    raise DataError(f"broken JSON ({error})", path=path) from error
  if not isinstance(found, list):
    raise DataError("a JSON list of ids is expected", path=path)
  for number, item in enumerate(found, start=1):
    if not isinstance(item, str | int) or isinstance(item, bool) or item == "":
      raise DataError(
        f"element {number} is {item!r}; a text or a whole number is an id",
        path=path,
      )
    yield Line(path=str(path), number=number, value=str(item))


def _rows(path: Path, known: Docnos, what: str) -> np.ndarray:
  """Looks up the ids of a file, all of them known and none twice; int32."""
  rows = known.find(line.value for line in read_ids(path))
  if not len(rows):
    raise DataError("the list is empty", path=path)
  _refuse(path, rows < 0, fault=f"is no {what}")
  again = np.ones(len(rows), bool)
  again[np.unique(rows, return_index=True)[1]] = False
  _refuse(path, again, fault="stands further up as well")
  return rows


def _refuse(path: Path, bad: np.ndarray, *, fault: str) -> None:
  """Reads a list again to name those of its ids that are bad, if any is."""
  count = int(bad.sum())
  if not count:
    return
  first = list(itertools.islice(itertools.compress(read_ids(path), bad), 5))
  some = ", ".join(repr(line.value) for line in first)
  more = ", …" if count > len(first) else ""
  raise DataError(
    f"{first[0].value!r} {fault}; so are {count:,} of {len(bad):,} ids"
    f" ({some}{more})",
    path=path,
    line=first[0].number,
  )


def _left_out(
  judged: Judged,
  chosen: Mapping[str, np.ndarray],
  queries: np.ndarray | None,
  *,
  split: str,
) -> int:
  """Counts the queries of a split that no judgement was chosen for."""
  if queries is None:
    queries = np.zeros(len(judged.query_ids), bool)
    queries[judged.splits[split].queries] = True
  kept = np.zeros(len(judged.query_ids), bool)
  for origin, mask in chosen.items():
    kept[judged.splits[origin].queries[mask]] = True
  return int((queries & ~kept).sum())
