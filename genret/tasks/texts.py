"""The texts of collections that a model may read before it sees any query.

Documents that the queries of some splits ask for are left out, and so is a
document that reads like one of them, in whichever collection. A share is held
out, by hash of the docno, to measure the loss on.
"""

import array
import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from tqdm import tqdm

from genret.core import artifacts
from genret.core.collection import SPLITS, Collection, Document
from genret.core.errors import ConfigError, suggest
from genret.core.shares import fraction_of
from genret.core.text import Tokenizer, text_key
from genret.tasks import text_stream
from genret.tasks.text_stream import Text

SUMMARY = "summary.json"
TRAIN = "train"
HELD_OUT = "held_out"
_BLOCK = 1024  # documents that are tokenised at once
_NO_CUT = 1 << 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig:
  """Which documents are read.

  Attributes:
    excluded_splits: A document that is relevant to a query of one of these is
      left out.
    held_out_share: Of the docnos; what the loss is measured on.
  """

  excluded_splits: tuple[str, ...] = ("test", "dev")
  held_out_share: float = 0.01

  def __post_init__(self):
    if not 0 < self.held_out_share < 1:
      raise ConfigError(
        f"held_out_share lies between 0 and 1; {self.held_out_share} came."
      )


@dataclasses.dataclass(kw_only=True)
class Counts:
  """What became of the documents of a collection.

  Attributes:
    documents: All of them; the sum of those below but tokens.
    judged: Left out, relevant to a query of an excluded split.
    reads_like_judged: Left out, with the text of such a document of any
      collection.
    repeated: Left out, with the text of a document before.
    empty: Left out, without text.
    held_out: Kept to measure the loss on.
    trained: Kept to train on.
    held_out_tokens: Ids of the former, without EOS.
    trained_tokens: Ids of the latter.
  """

  documents: int = 0
  judged: int = 0
  reads_like_judged: int = 0
  repeated: int = 0
  empty: int = 0
  held_out: int = 0
  trained: int = 0
  held_out_tokens: int = 0
  trained_tokens: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Texts:
  """The tokenised texts of all collections.

  Attributes:
    train: What is trained on.
    held_out: What the loss is measured on.
    summary: Name of a collection -> its `Counts`, as JSON.
  """

  train: Text
  held_out: Text
  summary: dict[str, dict[str, Any]]

  @classmethod
  def load(cls, folder: Path) -> Self:
    """Maps what `write` wrote."""
    folder = Path(folder)
    return cls(
      train=Text.load(folder / TRAIN),
      held_out=Text.load(folder / HELD_OUT),
      summary=artifacts.read_json(folder / SUMMARY),
    )

  def describe(self) -> str:
    """Returns a line a collection: what is read and what is left out."""
    return "\n".join(
      f"{name}: {found['trained']:,} of {found['documents']:,} documents"
      f" ({found['trained_tokens']:,} tokens); held out {found['held_out']:,};"
      f" left out {found['judged']:,} judged in excluded splits,"
      f" {found['reads_like_judged']:,} that read like one,"
      f" {found['repeated']:,} repeated, {found['empty']:,} empty"
      for name, found in self.summary.items()
    )


def write(
  folder: Path, collections: Sequence[Collection], config: TextConfig
) -> None:
  """Chooses and tokenises documents, in the order of the collections.

  In memory are a hash of each text and where it ends, and no text.

  Args:
    folder: Where nothing stands yet.
    collections: Of different names.
    config: Which documents.

  Raises:
    ConfigError: If collections have one name, or none has an excluded split
      of such a name.
  """
  check(collections, config)
  judged = [_judged(one, config.excluded_splits) for one in collections]
  asked = {
    key
    for one, docnos in zip(collections, judged, strict=True)
    for document in _found(one, docnos)
    for key in _keys(document)
  }
  sides = _Sides(share=config.held_out_share, asked=asked)
  summary = {}
  with (
    _Writer.open(folder / TRAIN) as train,
    _Writer.open(folder / HELD_OUT) as held_out,
    tqdm(
      total=sum(one.num_documents for one in collections),
      desc="tokenise texts",
      unit=" documents",
      delay=2,
    ) as bar,
  ):
    writers = {"trained": train, "held_out": held_out}
    for one, docnos in zip(collections, judged, strict=True):
      counts = Counts()
      documents = one.documents()
      while block := list(itertools.islice(documents, _BLOCK)):
        sides.add(block, docnos, counts=counts, writers=writers)
        bar.update(len(block))
      summary[one.name] = dataclasses.asdict(counts)
  artifacts.write_json(folder / SUMMARY, summary)


def check(collections: Sequence[Collection], config: TextConfig) -> None:
  """Refuses what `write` would, without reading any text.

  Raises:
    ConfigError: See there.
  """
  if not collections:
    raise ConfigError("No collection was given to read the texts of.")
  names = [one.name for one in collections]
  if len(set(names)) < len(names):
    raise ConfigError(
      f"Two collections have one name: {', '.join(sorted(names))}. Their counts"
      " could not be told apart; prepare one under another name."
    )
  known = {*SPLITS, *(split for one in collections for split in one.splits)}
  for split in config.excluded_splits:
    if split not in known:
      hint = suggest(split, known)
      raise ConfigError(f"No collection has a split {split!r}.{hint}")


class _Sides:
  """Decides of each document whether it is read, and on which side."""

  def __init__(self, *, share: float, asked: set[bytes]):
    self._share = share
    self._asked = asked
    self._seen: set[bytes] = set()
    self._tokenizer = Tokenizer()

  def add(
    self,
    block: Sequence[Document],
    judged: set[str],
    *,
    counts: Counts,
    writers: dict[str, "_Writer"],
  ) -> None:
    """Writes and counts the documents of a block."""
    sides = [self._side(document, judged) for document in block]
    counts.documents += len(block)
    for side in sides:
      setattr(counts, side, getattr(counts, side) + 1)
    for side, writer in writers.items():
      pairs = zip(block, sides, strict=True)
      texts = [document.contents for document, at in pairs if at == side]
      rows = self._tokenizer.encode(texts, max_length=_NO_CUT, eos=False)
      size = sum(map(writer.add, rows))
      tokens = f"{side}_tokens"
      setattr(counts, tokens, getattr(counts, tokens) + size)

  def _side(self, document: Document, judged: set[str]) -> str:
    """Returns the name of what counts a document."""
    if document.docno in judged:
      return "judged"
    if not document.contents:
      return "empty"
    keys = _keys(document)
    if keys & self._asked:
      return "reads_like_judged"
    if keys & self._seen:
      return "repeated"
    self._seen |= keys
    return (
      "held_out" if fraction_of(document.docno) < self._share else "trained"
    )


class _Writer:
  """Appends documents to the files of a `Text`."""

  def __init__(self, file: Any):
    self._file = file
    self.offsets = array.array("q", [0])

  @classmethod
  @contextlib.contextmanager
  def open(cls, folder: Path) -> Iterator[Self]:
    """Opens an empty text, which is whole on a clean exit."""
    folder.mkdir(parents=True)
    with open(folder / text_stream.TOKENS, "wb") as file:
      writer = cls(file)
      yield writer
    offsets = np.frombuffer(writer.offsets, np.int64)
    np.save(folder / text_stream.OFFSETS, offsets)

  def add(self, row: Sequence[int]) -> int:
    """Adds a document, unless it has no ids, and returns how many it has."""
    if row:
      self._file.write(np.asarray(row, np.dtype("<u2")).data)
      self.offsets.append(self.offsets[-1] + len(row))
    return len(row)


def _judged(collection: Collection, splits: Sequence[str]) -> set[str]:
  """Returns the docnos that are relevant to a query of some splits."""
  return {
    judgement.docno
    for split in splits
    if split in collection.splits
    for judgement in collection.judgements(split)
    if judgement.grade >= 1
  }


def _found(collection: Collection, docnos: set[str]) -> Iterator[Document]:
  """Reads documents by docno; those that are not there are passed over."""
  if docnos:
    rows = collection.docnos.find(sorted(docnos))
    yield from collection.documents(np.sort(rows[rows >= 0]))


def _keys(document: Document) -> set[bytes]:
  """Returns what tells its text from another's: with its title and without.

  Another collection may have a text without a title, or under another one.
  Case and white space make no difference.
  """
  texts = {document.contents, document.text or document.contents}
  return {text_key(text) for text in texts}
