"""Vocabularies without TensorFlow, T5's among them; the key of a query text."""

import functools
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np
import sentencepiece

from genret.core import token_rows
from genret.core.errors import ArtifactError, ConfigError, suggest
from genret.core.wordpiece import WordPiece


class Vocabulary(Protocol):
  """Turns the texts that a model reads into ids.

  Attributes:
    name: what `vocabulary` opens it by.
    start_ids: with which every row begins.
    end_id: with which every row ends.
    pad_id: fills rows up.
    vocab_size: ids are below it.
  """

  name: str
  start_ids: tuple[int, ...]
  end_id: int
  pad_id: int
  vocab_size: int

  def encode(
    self, texts: Sequence[str], *, max_length: int, eos: bool = True
  ) -> list[list[int]]:
    """Turns B texts into rows of at most `max_length` ids.

    Rows have start and end ids, and are cut before the end; without `eos`
    they are the text's ids alone.
    """

  def pad(self, rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Puts B rows of at most `length` ids into an array, int32 [B, L]."""

  def decode(self, ids: Iterable[int]) -> str:
    """Turns ids back into text, without markers and pads."""


class Tokenizer:
  """T5's 32,000-piece SentencePiece vocabulary.

  The ids are those of seqio's `SentencePieceVocabulary` with 100 extra ids.
  The size is 32,128 as in T5's checkpoints: 32,000 pieces, 100 sentinels,
  and 28 rows that nothing ever uses.

  >>> tokenizer = Tokenizer()
  >>> tokenizer.encode(["The house is wonderful."], max_length=8)
  [[37, 629, 19, 1627, 5, 1]]
  >>> tokenizer.decode([37, 629, 19, 1627, 5, 1, 0, 0])
  'The house is wonderful.'

  Args:
    model_path: a SentencePiece model, or None for the one shipped here.
  """

  name = "t5"
  pad_id = 0
  eos_id = end_id = 1
  unk_id = 2
  start_ids = ()
  vocab_size = 32_128

  def __init__(self, model_path: Path | None = None):
    model = _shipped_model() if model_path is None else _read(model_path)
    self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)

  def encode(
    self, texts: Sequence[str], *, max_length: int, eos: bool = True
  ) -> list[list[int]]:
    """Turns texts into ids the way T5 does: cut, then end with EOS.

    Args:
      texts: the texts, B of them.
      max_length: the most ids a row may have, EOS included.
      eos: whether each row ends with EOS.

    Returns:
      B rows of ids, each as long as its text needs.
    """
    token_rows.check(texts, max_length, least=int(eos))
    room = max_length - int(eos)
    tail = [self.eos_id] if eos else []
    rows = self._pieces.encode(list(texts), out_type=int)
    return [row[:room] + tail for row in rows]

  def pad(self, rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Puts rows of ids into one array, padded at the right.

    Args:
      rows: B rows of at most `length` ids.
      length: L.

    Returns:
      int32 [B, L].
    """
    return token_rows.pad(rows, length, pad_id=self.pad_id)

  @property
  def pieces(self) -> list[str]:
    """What each id stands for; "▁" is the blank before a word."""
    return [
      self._pieces.id_to_piece(i) for i in range(self._pieces.GetPieceSize())
    ]

  def decode(self, ids: Iterable[int]) -> str:
    """Turns ids back into text, up to the first EOS, without pads."""
    pieces = []
    for i in map(int, ids):
      if i == self.eos_id:
        break
      if i != self.pad_id:
        pieces.append(i if i < self._pieces.GetPieceSize() else self.unk_id)
    return self._pieces.decode(pieces)


VOCABULARIES: dict[str, type[Vocabulary]] = {
  made.name: made for made in (Tokenizer, WordPiece)
}


@functools.cache
def vocabulary(name: str) -> Vocabulary:
  """Opens a vocabulary, once in a process.

  >>> vocabulary("t5").encode(["a house"], max_length=8)
  [[3, 9, 629, 1]]

  Args:
    name: "t5", or "bert_uncased", BERT's.

  Returns:
    The vocabulary.

  Raises:
    ConfigError: there is none of that name, or what reads it is not
      installed.
  """
  if name not in VOCABULARIES:
    hint = suggest(name, VOCABULARIES)
    raise ConfigError(f"There is no vocabulary {name!r}.{hint}")
  return VOCABULARIES[name]()


def normalise_query(text: str) -> str:
  r"""Maps a query text to the key by which query texts are compared.

  >>> normalise_query("  What is\tＪＡＸ? ")
  'what is jax?'

  Args:
    text: a query's text.

  Returns:
    The text in Unicode form NFKC, case folded, white space collapsed.
  """
  if text.isascii():  # most are, and then this is all
    return " ".join(text.lower().split())
  for _ in range(2):  # folding can leave a form that NFKC would change
    text = unicodedata.normalize("NFKC", text).casefold()
  return " ".join(unicodedata.normalize("NFKC", text).split())


def text_key(text: str) -> bytes:
  """Returns 16 bytes that texts which read the same have in common.

  >>> text_key("What is JAX?") == text_key(" what  is jax?")
  True
  """
  normal = normalise_query(text).encode()
  return hashlib.blake2b(normal, digest_size=16).digest()


def _shipped_model() -> bytes:
  data = resources.files("genret") / "data" / "t5_vocab" / "spiece.model"
  return data.read_bytes()


def _read(path: Path) -> bytes:
  try:
    return Path(path).read_bytes()
  except OSError as error:
    raise ArtifactError(
      f"No SentencePiece model at {path}: {error.strerror}. Give the path of "
      "a spiece.model, or none to use T5's own, which ships with genret."
    ) from error
