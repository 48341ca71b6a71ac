"""Docids that another system has made, from a text file."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from genret.core import artifacts
from genret.core.docid_table import (
  EOS,
  FIRST_SYMBOL,
  PAD,
  DocidTable,
  symbol_dtype,
)
from genret.core.errors import ConfigError, DataError
from genret.docids.corpus import Corpus

_LARGEST = 2**31 - 1 - FIRST_SYMBOL  # symbols are int32


@dataclasses.dataclass(frozen=True)
class DocidFile:
  """A file of docids; manifests know it by its content and not by its place.

  Attributes:
    path: where it lies.
    sha256: of its content.

  Raises:
    ConfigError: there is no such file.
  """

  path: dataclasses.InitVar[str]
  sha256: str = dataclasses.field(init=False)

  def __post_init__(self, path: str):
    if not Path(path).is_file():
      raise ConfigError(
        f"there is no file of docids {path}; a line of it is a docno, a tab"
        " and symbols"
      )
    object.__setattr__(self, "path", Path(path))
    object.__setattr__(self, "sha256", artifacts.file_hash(Path(path)))


def fit(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  file: DocidFile,
) -> DocidTable:
  r"""Reads a docid for each document: a line of docno, tab, symbols.

  Symbols are whole numbers from 0 on, with blanks between. They are that
  system's codes, so they are moved past pad and EOS. Where docids differ in
  length each ends with EOS, so that none begins another. For codes that mean
  something else at each position, as those of residual quantisation do, give
  this scheme to `positional.fit`.

  >>> import tempfile
  >>> from genret.docids.corpus import Listed
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = Path(folder) / "theirs.tsv"
  ...   _ = path.write_text("b\t0 7\na\t3\n")
  ...   table = fit(Listed.named("ab"), file=DocidFile(str(path)))
  >>> table.codes.tolist(), table.vocab_size
  ([[5, 1, 0], [2, 9, 1]], 10)

  Args:
    collection: whose documents are named; each has a line, and no other.
    embeddings: not used.
    seed: not used.
    file: UTF-8.

  Returns:
    Docids in the order of the collection; V is what the largest symbol needs.

  Raises:
    DataError: says at which line the file departs from this, or which
      documents it lacks.
  """
  del embeddings, seed
  found = _read(file.path, collection)
  lengths = {len(symbols) for symbols in found}
  width, ended = max(lengths), len(lengths) > 1
  vocab_size = FIRST_SYMBOL + 1 + max(int(symbols.max()) for symbols in found)
  shape = (len(found), width + ended)
  codes = np.full(shape, PAD, symbol_dtype(vocab_size))
  for row, symbols in zip(codes, found, strict=True):
    row[: len(symbols)] = symbols + FIRST_SYMBOL
    if ended:
      row[len(symbols)] = EOS
  return DocidTable(
    codes=codes,
    docnos=collection.docnos,
    vocab_size=vocab_size,
    scheme="imported",
  )


def _read(path: Path, collection: Corpus) -> list[np.ndarray]:
  """Returns the symbols of each document, in the order of the collection."""
  found = dict.fromkeys(collection.docnos)
  with open(path, "rb") as file:
    for number, raw in enumerate(file, start=1):
      try:
        docno, symbols = _parsed(raw)
        _check_new(docno, found)
      except ValueError as error:  # that of UTF-8 is one too
        raise DataError(str(error), path=path, line=number) from error
      found[docno] = symbols
  if missing := [docno for docno, symbols in found.items() if symbols is None]:
    raise DataError(
      f"{len(missing):,} of {len(found):,} documents have no line, the first of"
      f" them {missing[0]!r}",
      path=path,
    )
  return list(found.values())


def _check_new(docno: str, found: Mapping[str, np.ndarray | None]) -> None:
  if docno not in found:
    raise ValueError(f"document {docno!r} is not in the collection")
  if found[docno] is not None:
    raise ValueError(f"document {docno!r} has a line further up")


def _parsed(raw: bytes) -> tuple[str, np.ndarray]:
  docno, tab, text = raw.decode("utf-8").rstrip("\r\n").partition("\t")
  symbols = text.split()
  if not tab or not symbols:
    raise ValueError("a line is a docno, a tab and symbols, '12 0 7'")
  for symbol in symbols:
    if not (symbol.isascii() and symbol.isdigit() and int(symbol) <= _LARGEST):
      raise ValueError(
        f"symbol {symbol!r}: expected a whole number from 0 to {_LARGEST:,}"
      )
  return docno, np.array(symbols, np.int64)
