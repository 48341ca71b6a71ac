"""What the bag of subwords is trained on: texts, each with its document."""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from genret.core.collection import Document, Positive
from genret.core.errors import UserError

Encode = Callable[[Sequence[str]], list[list[int]]]

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])")
_MIN_SENTENCE = 20  # characters: what is shorter says little of its document


@dataclasses.dataclass(frozen=True, kw_only=True)
class Texts:
  """Tokenised texts in one flat row.

  Attributes:
    tokens: The subwords of all texts, one after the other.
    offsets: Text i is tokens[offsets[i]:offsets[i + 1]].
  """

  tokens: Int[np.ndarray, "S"]
  offsets: Int[np.ndarray, "E+1"]

  def __len__(self) -> int:
    return len(self.offsets) - 1

  @property
  def lengths(self) -> Int[np.ndarray, "E"]:
    """Number of subwords of each text."""
    return np.diff(self.offsets)

  @property
  def owners(self) -> Int[np.ndarray, "S"]:
    """For each subword, the number of the text it belongs to."""
    return np.repeat(np.arange(len(self)), self.lengths)

  @classmethod
  def of(cls, rows: Sequence[Sequence[int]]) -> "Texts":
    """Put rows of subwords into one.

    >>> Texts.of([[5, 6], [], [7]]).owners.tolist()
    [0, 0, 2]
    """
    offsets = np.cumsum([0, *(len(row) for row in rows)])
    tokens = np.fromiter((t for row in rows for t in row), np.int32)
    return cls(tokens=tokens, offsets=offsets)

  def take(self, numbers: Int[np.ndarray, "B"]) -> "Texts":
    """Return these texts, in this order.

    >>> Texts.of([[5, 6], [], [7]]).take(np.array([2, 0])).tokens.tolist()
    [7, 5, 6]
    """
    lengths = self.lengths[numbers]
    offsets = np.cumsum([0, *lengths])
    shift = np.repeat(self.offsets[numbers] - offsets[:-1], lengths)
    tokens = self.tokens[np.arange(offsets[-1]) + shift]
    return Texts(tokens=tokens, offsets=offsets)

  def keep(self, mask: np.ndarray) -> "Texts":
    """Return the texts without the subwords whose mask is False."""
    kept = np.bincount(self.owners[mask], minlength=len(self))
    return Texts(tokens=self.tokens[mask], offsets=np.cumsum([0, *kept]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
  """Examples of one kind.

  Attributes:
    texts: What is read.
    labels: The row of the document that is the answer to each.
    rate: Share of this kind among the examples of a batch.
    drop: Lowest and highest share of the subwords of a text that are left out,
      drawn anew whenever it is read.
  """

  texts: Texts
  labels: Int[np.ndarray, "E"]
  rate: float
  drop: tuple[float, float] = (0.0, 0.0)


def questions(
  positives: Sequence[Positive], docnos: Sequence[str], encode: Encode
) -> tuple[Texts, Int[np.ndarray, "E"]]:
  """Return the training queries and the rows of their documents."""
  rows = {docno: row for row, docno in enumerate(docnos)}
  unknown = next((p.docno for p in positives if p.docno not in rows), None)
  if unknown is not None:
    raise UserError(f"a training query names {unknown!r}, not in the documents")
  labels = np.array([rows[p.docno] for p in positives], np.int32)
  return Texts.of(encode([p.query.text for p in positives])), labels


def passages(
  documents: Sequence[Document], encode: Encode
) -> tuple[Texts, Int[np.ndarray, "E"]]:
  """Return whole documents, title and text."""
  texts = Texts.of(encode([document.contents for document in documents]))
  return texts, np.arange(len(documents), dtype=np.int32)


def sentences(
  documents: Sequence[Document], encode: Encode
) -> tuple[Texts, Int[np.ndarray, "E"]]:
  """Return the sentences of the documents."""
  pairs = [
    (sentence, row)
    for row, document in enumerate(documents)
    for sentence in split_sentences(document.text)
  ]
  texts = Texts.of(encode([sentence for sentence, _ in pairs]))
  return texts, np.array([row for _, row in pairs], np.int32)


def split_sentences(text: str) -> list[str]:
  """Cut a text after full stops that a capital or a digit follows.

  A sentence of fewer than 20 characters stays with the one before it.

  >>> split_sentences("Is it late? Yes. It was 3 p.m. when we left the house.")
  ['Is it late? Yes.', 'It was 3 p.m. when we left the house.']

  Args:
    text: A passage.

  Returns:
    Its sentences; none for an empty text.
  """
  out: list[str] = []
  for piece in _SENTENCE_END.split(text.strip()):
    if out and len(piece) < _MIN_SENTENCE:
      out[-1] += f" {piece}"
    elif piece:
      out.append(piece)
  return out


def idf(
  documents: Texts, seen: Sequence[Texts], *, vocab_size: int
) -> Float[np.ndarray, "V"]:
  """Return the weight of each subword: log(1 + (N - n + .5) / (n + .5)).

  N counts the documents, n those that hold the subword. A subword that is in
  none of the `seen` texts has no trained embedding and so no weight.

  >>> texts = Texts.of([[2, 3], [2, 2]])
  >>> [f"{w:.2f}" for w in idf(texts, [texts], vocab_size=5)]
  ['0.00', '0.00', '0.18', '0.69', '0.00']

  Args:
    documents: The documents whole.
    seen: All texts that are trained on.
    vocab_size: V.
  """
  pairs = np.unique(np.stack([documents.tokens, documents.owners]), axis=1)
  n = np.bincount(pairs[0], minlength=vocab_size)  # [V]
  weights = np.log1p((len(documents) - n + 0.5) / (n + 0.5))
  trained = np.zeros(vocab_size, bool)
  for texts in seen:
    trained[texts.tokens] = True
  return np.where(trained, weights, 0).astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
  """Texts and the rows of the documents that answer them."""

  texts: Texts
  labels: Int[np.ndarray, "B"]


def batches(
  sources: Mapping[str, Source], *, batch_size: int, seed: int
) -> Iterator[Batch]:
  """Yield batches for ever; each source is read in epochs of its own order.

  Args:
    sources: The kinds of examples.
    batch_size: B.
    seed: Of orders, mixing and dropped subwords.
  """
  rng = np.random.default_rng(seed)
  live = [s for s in sources.values() if s.rate > 0 and len(s.labels)]
  if not live:
    raise UserError(
      "there is nothing to train on: every source of examples is empty or has"
      f" rate 0 ({', '.join(sources)})"
    )
  shares = np.array([source.rate for source in live])
  orders = [_epochs(len(source.labels), rng) for source in live]
  while True:
    counts = rng.multinomial(batch_size, shares / shares.sum())
    parts = [
      _draw(source, list(itertools.islice(order, count)), rng)
      for source, order, count in zip(live, orders, counts, strict=True)
    ]
    yield Batch(
      texts=_join([part.texts for part in parts]),
      labels=np.concatenate([part.labels for part in parts]),
    )


def _epochs(size: int, rng: np.random.Generator) -> Iterator[int]:
  while True:
    yield from rng.permutation(size).tolist()


def _draw(
  source: Source, picked: Sequence[int], rng: np.random.Generator
) -> Batch:
  numbers = np.array(picked, np.int64)
  texts = source.texts.take(numbers)
  if source.drop[1] > 0:
    rates = rng.uniform(*source.drop, size=len(texts))
    mask = rng.random(len(texts.tokens)) >= rates[texts.owners]
    texts = texts.keep(mask)
  return Batch(texts=texts, labels=source.labels[numbers])


def _join(texts: Sequence[Texts]) -> Texts:
  lengths = np.concatenate([t.lengths for t in texts])
  return Texts(
    tokens=np.concatenate([t.tokens for t in texts]),
    offsets=np.cumsum([0, *lengths]),
  )
