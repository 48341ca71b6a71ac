"""Docids that are text, in the vocabulary that the model reads with."""

import functools
import itertools
import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from genret.core.collection import Document
from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError, UserError, suggest
from genret.core.text import Tokenizer
from genret.docids.corpus import Corpus

_CHUNK = 8192
_FIELDS = ("docno", "title", "text")
_URL = re.compile(r"https?://[^\s<>\"'{}]+", re.IGNORECASE)
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://(www\.)?", re.IGNORECASE)

_log = logging.getLogger(__name__)


def fit_docno(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  unknown: Literal["percent", "refuse"] = "refuse",
  max_length: int = 64,
) -> DocidTable:
  """Spells each document's own docno in SentencePiece symbols.

  >>> from genret.docids.corpus import Listed
  >>> table = fit_docno(Listed.named(["d1", "d10"]))
  >>> Tokenizer().decode(table.codes[1]), table.has_eos
  ('d10', True)

  Args:
    collection: whose documents are named.
    embeddings: not used.
    seed: not used.
    unknown: what becomes of characters that the vocabulary lacks: their
      documents are refused, or docnos are normalised (NFKC, white space
      collapsed) and such characters written as a URL writes them.
    max_length: the most symbols a docid may have, EOS included.

  Returns:
    Docids that end with EOS, V = 32,128.

  Raises:
    UserError: a docno has characters that the vocabulary lacks, does not
      come back from its symbols unchanged, or is too long. Says which.
  """
  del embeddings, seed
  docnos: Iterable[str] = collection.docnos
  if unknown != "refuse":  # normalised ones are docnos no more
    docnos = _writable(docnos, unknown)
  return spelled(collection, docnos, scheme="docno", max_length=max_length)


def fit_title(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  unknown: Literal["percent", "refuse"] = "percent",
  max_length: int = 64,
) -> DocidTable:
  """Spells each document's title, as GENRE does (arXiv 2010.00904).

  Titles are normalised (NFKC, white space collapsed). One without a title is
  spelled by its docno, and such documents are counted in a warning.

  >>> from genret.docids.corpus import Listed
  >>> one = Document(docno="d1", title="Super  Bowl ~50", text="")
  >>> Tokenizer().decode(fit_title(Listed([one])).codes[0])
  'Super Bowl %7E50'

  Args:
    collection: whose documents are named.
    embeddings: not used.
    seed: not used.
    unknown: what becomes of characters that the vocabulary lacks: they are
      written as a URL writes them, or their documents refused.
    max_length: the most symbols a docid may have, EOS included.

  Returns:
    Docids that end with EOS, V = 32,128. Documents of one title share it.

  Raises:
    UserError: a title is too long, or is refused. Says which.
  """
  del embeddings, seed
  titles = (document.title for document in collection.documents())
  texts = _writable(titles, unknown)
  return spelled(
    collection,
    or_docno(texts, collection, lack="title", unknown=unknown),
    scheme="title",
    max_length=max_length,
  )


def fit_url(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  field: Literal["docno", "title", "text"] = "docno",
  reverse: bool = False,
  max_length: int = 64,
) -> DocidTable:
  """Spells each document's URL.

  Without its scheme and "www."; what the vocabulary lacks is percent-encoded,
  as URLs have it.

  >>> from genret.docids.corpus import Listed
  >>> corpus = Listed.named(["https://www.example.org/cats/tabby~1"])
  >>> Tokenizer().decode(fit_url(corpus).codes[0])
  'example.org/cats/tabby%7E1'
  >>> Tokenizer().decode(fit_url(corpus, reverse=True).codes[0])
  'tabby%7E1/cats/example.org'

  Args:
    collection: whose documents are named.
    embeddings: not used.
    seed: not used.
    field: where the URL stands. A docno or title is taken as one; of a text
      the first that begins with http:// or https://, and a document without
      one is spelled by its docno and counted in a warning.
    reverse: puts the parts of the path before the host, the last first, as in
      Ultron (arXiv 2208.09257), since the last often says what a page is of.
    max_length: the most symbols a docid may have, EOS included.

  Returns:
    Docids that end with EOS, V = 32,128.

  Raises:
    ConfigError: there is no such field.
    UserError: a URL is too long. Says which.
  """
  del embeddings, seed
  if field not in _FIELDS:
    raise ConfigError(f"No field {field!r} has URLs.{suggest(field, _FIELDS)}")
  found = (
    _url(document, field, reverse) for document in collection.documents()
  )
  return spelled(
    collection,
    or_docno(_writable(found, "percent"), collection, lack="URL"),
    scheme="url",
    max_length=max_length,
  )


def spelled(
  collection: Corpus, texts: Iterable[str], *, scheme: str, max_length: int
) -> DocidTable:
  """Writes a text a document in SentencePiece symbols, EOS at the end.

  Args:
    collection: whose documents are named.
    texts: the docids as text, in the order of the documents.
    scheme: what they are.
    max_length: the most symbols a docid may have, EOS included.

  Raises:
    UserError: a text has characters that the vocabulary lacks, does not come
      back from its symbols unchanged, or is too long. Says which.
  """
  tokenizer = Tokenizer()
  rows: list[np.ndarray] = []
  remaining = iter(texts)
  while chunk := list(itertools.islice(remaining, _CHUNK)):
    encoded = tokenizer.encode(chunk, max_length=max_length + 1)
    for text, row in zip(chunk, encoded, strict=True):
      _check(f"{scheme} {text!r}", text, row, max_length=max_length)
      rows.append(np.asarray(row, np.uint16))
  codes = np.zeros((len(rows), max(map(len, rows), default=0)), np.uint16)
  for i, row in enumerate(rows):
    codes[i, : len(row)] = row
  return DocidTable(
    codes=codes,
    docnos=collection.docnos,
    vocab_size=tokenizer.vocab_size,
    scheme=scheme,
    text_vocabulary=True,
  )


def or_docno(
  texts: Iterable[str],
  collection: Corpus,
  *,
  lack: str,
  unknown: str = "percent",
) -> Iterator[str]:
  """Yields texts, docnos in the place of empty ones, and warns of these.

  Args:
    texts: a text a document.
    collection: the documents.
    lack: what those with an empty text lack.
    unknown: what becomes of characters that the vocabulary lacks.
  """
  count = 0
  for docno, text in zip(collection.docnos, texts, strict=True):
    count += not text
    yield text or next(_writable([docno], unknown))
  if count:
    _log.warning(
      "%d of %d documents have no %s and are spelled by their docno",
      count,
      len(collection.docnos),
      lack,
    )


def shortened(texts: Iterable[str], max_length: int) -> Iterator[str]:
  """Drops the last words of texts of more than `max_length` symbols.

  >>> list(shortened(["house house house"], 3))
  ['house house']
  """
  tokenizer = _tokenizer()
  for text in texts:
    while len(tokenizer.encode([text], max_length=1 << 20)[0]) > max_length:
      text = text.rpartition(" ")[0]
    yield text


def writable(text: str) -> str:
  """Percent-encodes the characters that the text vocabulary would lose.

  >>> writable("~/café {1}")
  '%7E/café %7B1%7D'
  """
  text = "".join(c if _is_known(c) else _percent(c) for c in text)
  if not _comes_back(text):  # what is known by itself may be lost in company
    text = "".join(c if c.isascii() else _percent(c) for c in text)
  return text


def _percent(character: str) -> str:
  return "".join(f"%{byte:02X}" for byte in character.encode("utf-8"))


def _writable(texts: Iterable[str], unknown: str) -> Iterator[str]:
  """Normalises texts, and writes what the vocabulary lacks otherwise."""
  if unknown not in ("percent", "refuse"):
    raise ConfigError(
      f"unknown is 'percent' or 'refuse'; {unknown!r} came."
      + suggest(unknown, ("percent", "refuse"))
    )
  for text in texts:
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    yield writable(text) if unknown == "percent" else text


def _url(document: Document, field: str, reverse: bool) -> str:
  url = getattr(document, field).strip()
  if field == "text":
    found = _URL.search(url)
    url = found[0].rstrip(".,;:)]") if found else ""
  url = _SCHEME.sub("", url).rstrip("/")
  return "/".join(url.split("/")[::-1]) if reverse else url


@functools.cache
def _is_known(character: str) -> bool:
  return _comes_back(f"a{character}a")


def _comes_back(text: str) -> bool:
  """Says whether a text comes back from the vocabulary unchanged."""
  tokenizer = _tokenizer()
  [row] = tokenizer.encode([text], max_length=1 << 20)
  return tokenizer.unk_id not in row and tokenizer.decode(row) == text


@functools.cache
def _tokenizer() -> Tokenizer:
  return Tokenizer()


def _check(name: str, text: str, row: list[int], *, max_length: int) -> None:
  """Refuses a text that would be lost on its way through the vocabulary."""
  tokenizer = _tokenizer()
  advice = "Choose another docid scheme, or rename the documents."
  if len(row) > max_length:
    raise UserError(
      f"The {name} takes over {max_length} symbols, EOS included."
      f" Raise max_length ({max_length}), or choose another docid scheme."
    )
  if tokenizer.unk_id in row:
    raise UserError(
      f"The {name} has characters that the text vocabulary lacks"
      f" (it reads as {tokenizer.decode(row)!r}). {advice}"
    )
  if tokenizer.decode(row) != text:
    raise UserError(
      f"The {name} comes back from the text vocabulary as"
      f" {tokenizer.decode(row)!r}. {advice}"
    )
