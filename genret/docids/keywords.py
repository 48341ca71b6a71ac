"""Docids of keywords: the words that weigh most in a document."""

import collections
import math
import re
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.docids import lexical
from genret.docids.corpus import Corpus

_WORD = re.compile(r"[^\W_]{2,}")


def fit(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  count: int = 5,
  k1: float = 0.9,
  b: float = 0.4,
  max_length: int = 32,
) -> DocidTable:
  """Spells the words that weigh most in each document, the heaviest first.

  The weight is BM25's, tf / (tf + k1 (1 - b + b |d| / average)) x idf, of the
  lower-cased words of two or more letters or digits in title and text; words
  of one weight are in the order of the alphabet. A word with a letter that
  the vocabulary lacks is left out, and a document without any word is spelled
  by its docno and counted in a warning.

  >>> from genret.core.collection import Document
  >>> from genret.core.text import Tokenizer
  >>> from genret.docids.corpus import Listed
  >>> texts = ["the cat and the mouse", "the dog and the mouse", "the sea"]
  >>> corpus = Listed([Document(docno=t, title="", text=t) for t in texts])
  >>> table = fit(corpus, count=2)
  >>> [Tokenizer().decode(row) for row in table.codes]
  ['cat and', 'dog and', 'sea the']

  Args:
    collection: whose documents are named; read twice.
    embeddings: not used.
    seed: not used.
    count: the most words a docid.
    k1: saturation of the count of a word in the document.
    b: normalisation by the document's length, from 0 (none) to 1.
    max_length: the most symbols a docid may have, EOS included; words that
      would pass it are left out.

  Returns:
    Docids that end with EOS, V = 32,128.

  Raises:
    ConfigError: a setting that cannot be.
  """
  del embeddings, seed
  if count < 1 or k1 < 0 or not 0 <= b <= 1:
    raise ConfigError(
      f"count is at least 1, k1 at least 0 and b from 0 to 1; count={count},"
      f" k1={k1} and b={b} came."
    )
  return lexical.spelled(
    collection,
    lexical.or_docno(
      lexical.shortened(
        _heaviest(collection, count=count, k1=k1, b=b), max_length
      ),
      collection,
      lack="word",
    ),
    scheme="keywords",
    max_length=max_length,
  )


def _heaviest(
  collection: Corpus, *, count: int, k1: float, b: float
) -> Iterator[str]:
  """Yields the words that weigh most in each document, the heaviest first."""
  holding: collections.Counter[str] = collections.Counter()
  lengths = []
  for words in _read(collection, "keywords: counting"):
    lengths.append(len(words))
    holding.update(set(words))
  average = max(sum(lengths) / len(lengths), 1.0)
  idf = {
    word: math.log(1 + (len(lengths) - n + 0.5) / (n + 0.5))
    for word, n in holding.items()
    if lexical.writable(word) == word
  }
  for words in _read(collection, "keywords: choosing"):
    norm = k1 * (1 - b + b * len(words) / average)
    counts = collections.Counter(word for word in words if word in idf)
    weights = {w: idf[w] * n / (n + norm) for w, n in counts.items()}
    best = sorted(weights, key=lambda word: (-weights[word], word))
    yield " ".join(best[:count])


def _read(collection: Corpus, what: str) -> Iterator[list[str]]:
  """Yields the words of each document."""
  bar = tqdm(
    collection.documents(),
    total=len(collection.docnos),
    desc=what,
    unit=" documents",
    delay=2,
  )
  for document in bar:
    yield _WORD.findall(document.contents.lower())
