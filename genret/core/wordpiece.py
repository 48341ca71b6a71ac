"""BERT's uncased WordPiece vocabulary, without torch or TensorFlow."""

import functools
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

import numpy as np

from genret.core import token_rows
from genret.core.errors import ConfigError


class WordPiece:
  """The 30,522 pieces of BERT base, uncased.

  Text is cleaned of control characters, set in lower case without accents,
  split at white space, punctuation and around each Chinese character, and
  each word is cut into the longest pieces that there are; a word that no
  pieces make up, or of over 100 characters, is [UNK]. The ids are those of
  BERT's own tokenizer, but that a marker written out in a text, as "[SEP]",
  is text like any other.

  >>> wordpiece = WordPiece()
  >>> wordpiece.encode(["The house is wonderful."], max_length=8)
  [[101, 1996, 2160, 2003, 6919, 1012, 102]]

  Raises:
    ConfigError: the library `tokenizers` is not installed.
  """

  name = "bert_uncased"
  pad_id = 0
  unk_id = 100
  start_ids = (101,)
  end_id = 102
  vocab_size = 30_522

  def __init__(self):
    self._pieces = _tokenizer()

  def encode(
    self, texts: Sequence[str], *, max_length: int, eos: bool = True
  ) -> list[list[int]]:
    """Turns texts into ids: [CLS], the pieces, cut where too long, [SEP].

    Args:
      texts: the texts, B of them.
      max_length: the most ids a row may have, markers included.
      eos: whether rows have the markers; else they are pieces alone.

    Returns:
      B rows of ids, each as long as its text needs.
    """
    start, end = (self.start_ids, (self.end_id,)) if eos else ((), ())
    markers = len(start) + len(end)
    token_rows.check(texts, max_length, least=markers)
    found = self._pieces.encode_batch_fast(
      list(texts), add_special_tokens=False
    )
    room = max_length - markers
    return [[*start, *encoding.ids[:room], *end] for encoding in found]

  def decode(self, ids: Iterable[int]) -> str:
    """Turns ids back into words, without markers and pads.

    >>> pieces = WordPiece()
    >>> pieces.decode(pieces.encode(["unaffable houses"], max_length=9)[0])
    'unaffable houses'
    """
    aside = {self.pad_id, *self.start_ids, self.end_id}
    kept = " ".join(_pieces()[i] for i in map(int, ids) if i not in aside)
    return kept.replace(" ##", "")

  def pad(self, rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Puts B rows of ids into one array, padded at the right.

    Args:
      rows: of at most `length` ids.
      length: L.

    Returns:
      int32 [B, L].
    """
    return token_rows.pad(rows, length, pad_id=self.pad_id)


def ids() -> dict[str, int]:
  """Reads the id of each piece; "##" marks those that go on with a word."""
  file = resources.files("genret") / "data" / "bert_vocab" / "vocab.txt"
  pieces = file.read_text(encoding="utf-8").splitlines()
  return {piece: i for i, piece in enumerate(pieces)}


@functools.cache
def _pieces() -> list[str]:
  return list(ids())


def _tokenizer() -> Any:
  """Opens the vocabulary that ships with genret.

  The markers are pieces of it and no special tokens to the library, so that
  no text can forge one.
  """
  try:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
  except ImportError as error:
    raise ConfigError(
      "BERT's vocabulary is read by the library tokenizers, which is not"
      " installed. Run: pip install 'genret[minilm]'"
    ) from error
  tokenizer = Tokenizer(
    models.WordPiece(
      ids(),
      unk_token="[UNK]",
      max_input_chars_per_word=100,
    )
  )
  tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
  tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
  return tokenizer
