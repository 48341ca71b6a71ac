"""Documents that look right and are not: BM25's best for each training text."""

import dataclasses
from pathlib import Path

import numpy as np
from tqdm import tqdm

from genret.core import atomic, text
from genret.core.collection import Collection, Query
from genret.core.docnos import Docnos
from genret.core.errors import ConfigError
from genret.retrieval.bm25 import BM25, Bm25Config
from genret.tasks import pairs as pairs_of
from genret.tasks.pairs import Pairs

FILE = "negatives.npy"
_TEXTS = 1024  # searched at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class HardNegatives:
  """What is mined, and how much of it a text meets at a time.

  Attributes:
    count: Documents drawn for a text each time it is read. All texts of a
      batch are compared with them.
    depth: Documents that are drawn from: BM25's best for the text, without
      those that are right or read like one that is.
    bm25: Its settings.
  """

  count: int = 1
  depth: int = 30
  bm25: Bm25Config = Bm25Config()

  def __post_init__(self):
    if not 1 <= self.count <= self.depth:
      raise ConfigError(
        f"HardNegatives.count is {self.count} and depth is {self.depth};"
        " expected 1 <= count <= depth."
      )


def mined(
  config: HardNegatives,
  pairs: Pairs,
  collection: Collection,
  *,
  vocabulary: str,
  folder: Path,
) -> np.ndarray:
  """Searches every training text by BM25, once.

  A text is what the model reads of it, turned back into words.

  Args:
    config: The settings.
    pairs: Texts, and what is right for them.
    collection: Whose documents are searched, whole.
    vocabulary: The name of the one that texts are in.
    folder: Keeps what was found, and takes its name when it is whole.

  Returns:
    Rows of documents, int32 [E, depth], best first, -1 where there are fewer;
    mapped.
  """

  def make(draft: Path) -> None:
    found = _mined(config, pairs, collection, vocabulary=vocabulary)
    draft.mkdir()
    np.save(draft / FILE, found)

  atomic.fill(folder, make)
  return np.load(folder / FILE, mmap_mode="r")


def _mined(
  config: HardNegatives,
  pairs: Pairs,
  collection: Collection,
  *,
  vocabulary: str,
) -> np.ndarray:
  bm25 = BM25(config.bm25).fit(collection.documents())
  docnos = Docnos.from_strings(collection.docnos)
  decode = text.vocabulary(vocabulary).decode
  rows = pairs_of.document_rows(pairs)
  texts = map(decode, pairs_of.texts(pairs))
  out = np.full((pairs.num_examples, config.depth), -1, np.int32)
  with tqdm(total=len(out), desc="hard negatives", unit="text", delay=2) as bar:
    for first in range(0, len(out), _TEXTS):
      numbers = np.arange(first, min(first + _TEXTS, len(out)))
      queries = [Query(query_id=str(n), text=next(texts)) for n in numbers]
      known = pairs.known(numbers, rows[numbers])
      run = bm25.search(queries, k=config.depth + known.shape[1])
      hits = [run[query.query_id] for query in queries]
      found = docnos.rows([hit.docno for some in hits for hit in some])
      ends = np.cumsum([len(some) for some in hits])
      every = np.split(found, ends[:-1])
      for number, best, right in zip(numbers, every, known, strict=True):
        same = np.isin(pairs.documents.numbers[best], right)
        best = best[~same][: config.depth]
        out[number, : len(best)] = best
      bar.update(len(queries))
  return out
