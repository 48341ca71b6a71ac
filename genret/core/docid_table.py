"""The docids of a collection: one row of symbols for each document."""

import dataclasses
import functools
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from genret.core.docnos import Docnos
from genret.core.errors import ArtifactError, UserError

PAD = 0
EOS = 1
FIRST_SYMBOL = 2
FORMAT_VERSION = 1
_CHUNK = 1 << 20  # rows compared at a time


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DocidTable:
  """Row i is the docid of document i, padded at its end.

  >>> table = DocidTable(
  ...   codes=np.array([[2, 3], [2, 4], [2, 3]]),
  ...   docnos=["a", "b", "c"],
  ...   vocab_size=5,
  ...   scheme="example",
  ... )
  >>> table.collisions()
  [(0, 2)]

  Attributes:
    codes: symbols [N, T], uint16, or int32 when there are over 65,536
      symbols; 0 pads, 1 ends a docid, T counts that end. Other whole
      numbers are converted.
    docnos: the N docnos, in the order of the rows.
    vocab_size: V; symbols are below it, pad and EOS among them.
    scheme: how the docids were made.
    text_vocabulary: whether symbols are ids of T5's SentencePiece model.
    level_starts: for docids whose positions have symbols of their own, the
      first symbol of each position [T]: position m has those from
      level_starts[m] to before level_starts[m + 1], the last those up to
      V - 1, and pads and EOS stay what they are. None: all positions share
      one set of symbols.
    checked: skips the checks of single rows, for a table that passed them
      when it was saved.
  """

  codes: np.ndarray
  docnos: Sequence[str]
  vocab_size: int
  scheme: str
  text_vocabulary: bool = False
  level_starts: tuple[int, ...] | None = None
  checked: dataclasses.InitVar[bool] = False

  def __post_init__(self, checked: bool):
    codes = np.asanyarray(self.codes)
    _check_shape(codes, len(self.docnos), self.vocab_size)
    dtype = symbol_dtype(self.vocab_size)
    if codes.dtype != dtype:
      _check_range(codes, self.docnos, self.vocab_size)
      codes = codes.astype(dtype)
    object.__setattr__(self, "codes", codes)
    if self.level_starts is not None:
      starts = tuple(map(int, self.level_starts))
      object.__setattr__(self, "level_starts", starts)
      _check_levels(starts, codes.shape[1], self.vocab_size)
    if not checked:
      self.check()

  @property
  def num_documents(self) -> int:
    """N."""
    return self.codes.shape[0]

  @property
  def length(self) -> int:
    """T, EOS included."""
    return self.codes.shape[1]

  @functools.cached_property
  def has_eos(self) -> bool:
    """Whether any docid ends with EOS."""
    return any((self.codes[rows] == EOS).any() for rows in self._chunks())

  def lengths(self) -> np.ndarray:
    """Counts the symbols of each docid [N], EOS included, pads not."""
    out = np.zeros(self.num_documents, np.int32)
    for rows in self._chunks():
      out[rows] = (self.codes[rows] != PAD).sum(axis=1)
    return out

  def collisions(self) -> list[tuple[int, ...]]:
    """Lists the rows that share a docid.

    Returns:
      One tuple of ascending row numbers a shared docid, by first row.
    """
    order = lexicographic_order(self.codes)
    same = np.zeros(len(order) + 1, bool)  # same[i]: row i equals row i - 1
    for start in range(0, len(order) - 1, _CHUNK):
      rows = order[start : start + _CHUNK + 1]
      pairs = (self.codes[rows[1:]] == self.codes[rows[:-1]]).all(axis=1)
      same[start + 1 : start + len(rows)] = pairs
    starts = np.flatnonzero(~same[:-1] & same[1:])
    ends = np.flatnonzero(same[:-1] & ~same[1:])
    groups = zip(starts.tolist(), ends.tolist(), strict=True)
    return sorted(tuple(order[a : b + 1].tolist()) for a, b in groups)

  def check(self) -> None:
    """Checks every row and every pair of rows.

    Raises:
      UserError: a symbol is out of range or of another level, pads are not
        a tail, EOS is not last, a docid is empty, or one is a proper prefix
        of another. Says which documents.
    """
    _check_range(self.codes, self.docnos, self.vocab_size)
    for rows in self._chunks():
      self._check_rows(rows)
      if self.level_starts is not None:
        self._check_symbols(rows, self.level_starts)
    self._check_prefixes()

  def save(self, folder: Path) -> None:
    """Writes codes.npy, docnos.bytes, offsets.npy and table.json."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "codes.npy", np.ascontiguousarray(self.codes))
    Docnos.from_strings(self.docnos).save(folder)
    table = {
      "format_version": FORMAT_VERSION,
      "scheme": self.scheme,
      "text_vocabulary": self.text_vocabulary,
      "vocab_size": self.vocab_size,
    }
    if self.level_starts is not None:
      table["level_starts"] = self.level_starts
    text = json.dumps(table, indent=2, sort_keys=True) + "\n"
    (folder / "table.json").write_text(text, encoding="utf-8")

  @classmethod
  def load(cls, folder: Path) -> "DocidTable":
    """Opens a saved table, its codes and docnos memory-mapped.

    Args:
      folder: where `save` wrote it.

    Returns:
      The table. Its rows were checked when it was first made.

    Raises:
      ArtifactError: there is none, or one of another format.
    """
    folder = Path(folder)
    try:
      table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
      codes = np.load(folder / "codes.npy", mmap_mode="r")
      docnos = Docnos.load(folder)
    except (OSError, ValueError) as error:
      raise ArtifactError(
        f"{folder} holds no docid table: {error}. Docids are made by "
        "`genret docids`."
      ) from error
    if table.pop("format_version", None) != FORMAT_VERSION:
      raise ArtifactError(
        f"{folder} holds docids of another format; make them anew with "
        "`genret docids`."
      )
    return cls(codes=codes, docnos=docnos, checked=True, **table)

  def _chunks(self) -> Iterable[slice]:
    return (slice(i, i + _CHUNK) for i in range(0, len(self.codes), _CHUNK))

  def _check_rows(self, rows: slice) -> None:
    codes = self.codes[rows]
    used = codes != PAD
    faults = {
      "is empty": ~used[:, 0],
      "has pads before its end": (used[:, 1:] & ~used[:, :-1]).any(axis=1),
      "goes on after EOS": ((codes[:, :-1] == EOS) & used[:, 1:]).any(axis=1),
    }
    for fault, where in faults.items():
      if where.any():
        row = rows.start + int(where.argmax())
        raise UserError(f"The docid of {self._name(row)} {fault}.")

  def _check_symbols(self, rows: slice, starts: Sequence[int]) -> None:
    codes = self.codes[rows]
    ends = [*starts[1:], self.vocab_size]
    alien = (codes < np.array(starts)) | (codes >= np.array(ends))
    alien &= codes > EOS
    if alien.any():
      at = int(alien.any(axis=1).argmax())
      level = int(alien[at].argmax())
      raise UserError(
        f"Symbol {level} of the docid of {self._name(rows.start + at)} is"
        f" {codes[at, level]}; level {level} has the symbols"
        f" {starts[level]} to {ends[level] - 1}."
      )

  def _check_prefixes(self) -> None:
    if bool((self.codes[:, -1] != PAD).all()):
      return  # all of one length
    order = lexicographic_order(self.codes)
    for start in range(0, len(order) - 1, _CHUNK):
      rows = order[start : start + _CHUNK + 1]
      shorter, longer = self.codes[rows[:-1]], self.codes[rows[1:]]
      agree = ((shorter == longer) | (shorter == PAD)).all(axis=1)
      prefix = agree & (shorter != longer).any(axis=1)
      if prefix.any():
        i = int(prefix.argmax())
        raise UserError(
          f"The docid of {self._name(rows[i])} is a proper prefix of that of "
          f"{self._name(rows[i + 1])}; end docids of several lengths with "
          f"EOS ({EOS})."
        )

  def _name(self, row: int) -> str:
    symbols = self.codes[row]
    docid = " ".join(map(str, symbols[symbols != PAD].tolist()))
    return f"document {self.docnos[int(row)]!r} (row {row}: {docid})"


def symbol_dtype(vocab_size: int) -> np.dtype:
  """Returns what the symbols of a vocabulary are stored as.

  >>> symbol_dtype(65_536), symbol_dtype(65_537)
  (dtype('uint16'), dtype('int32'))
  """
  return np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.int32)


def lexicographic_order(codes: np.ndarray) -> np.ndarray:
  """Orders rows of symbols lexicographically [N]; equal ones stay in order.

  Several symbols are read as one 64-bit number, so that a sort of few keys
  does. Pads are the least symbol: a prefix stands before what it begins, and
  all that stands between the two begins with it as well.

  >>> lexicographic_order(np.array([[3, 2], [2, 3], [2, 0]], np.uint16))
  array([2, 1, 0])
  """
  size = codes.dtype.itemsize
  symbols = codes.view(f"u{size}")
  packed = 8 // size
  keys = []
  for start in range(0, codes.shape[1], packed):
    key = np.zeros(len(codes), np.uint64)
    for place in range(start, start + packed):
      key <<= np.uint64(8 * size)
      if place < codes.shape[1]:
        key |= symbols[:, place]
    keys.append(key)
  return np.lexsort(keys[::-1])


def _check_shape(codes: np.ndarray, num_docnos: int, vocab_size: int) -> None:
  if codes.ndim != 2 or 0 in codes.shape:
    raise UserError(
      "Docids are a matrix of documents by symbols, both at least 1; "
      f"the shape {codes.shape} came."
    )
  if codes.dtype.kind not in "iu":
    raise UserError(f"Docids are whole numbers; {codes.dtype} came.")
  if num_docnos != len(codes):
    raise UserError(f"{len(codes)} docids came with {num_docnos} docnos.")
  if vocab_size <= FIRST_SYMBOL:
    raise UserError(
      f"vocab_size counts pad and EOS, so it is over {FIRST_SYMBOL}; "
      f"{vocab_size} came."
    )


def _check_levels(starts: Sequence[int], length: int, vocab_size: int) -> None:
  bounds = [*starts, vocab_size]
  rising = all(a < b for a, b in itertools.pairwise(bounds))
  if len(starts) != length or starts[0] != FIRST_SYMBOL or not rising:
    raise UserError(
      f"level_starts are the first symbols of each of the {length} positions,"
      f" from {FIRST_SYMBOL} on, each below the next and all below V ="
      f" {vocab_size}; {list(starts)} came."
    )


def _check_range(
  codes: np.ndarray, docnos: Sequence[str], vocab_size: int
) -> None:
  low, high = int(codes.min()), int(codes.max())
  if low < 0 or high >= vocab_size:
    symbol = low if low < 0 else high
    row = int((codes == symbol).any(axis=1).argmax())
    raise UserError(
      f"Symbol {symbol} of document {docnos[row]!r} (row {row}) is outside "
      f"the vocabulary of {vocab_size} symbols."
    )
