"""Late interaction: every token of every document has a vector, all are read.

Exact: a query's score with each document is that of `dual_encoder.max_sim`.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import jax
import numpy as np
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from genret.models import dual_encoder
from genret.retrieval import searcher
from genret.tasks import pair_feed

_DOCUMENTS = 256  # scored at a time
_QUERIES = 32
_SCORES = 1 << 24  # in memory


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TokenVectors:
  """Vectors of the tokens of N documents, end to end.

  Attributes:
    vectors: float16 [S, D], each of length 1; may be memory-mapped.
    offsets: int64 [N + 1], where each document begins and the last ends.
  """

  vectors: np.ndarray
  offsets: np.ndarray

  @property
  def num_documents(self) -> int:
    """N."""
    return len(self.offsets) - 1

  def padded(self, rows: np.ndarray) -> Float[np.ndarray, "M K D"]:
    """Returns the vectors of some documents, zeros after them.

    Args:
      rows: Of the documents, [M]; -1 has no vectors.
    """
    starts = np.where(rows < 0, 0, self.offsets[rows])
    lengths = np.where(rows < 0, 0, self.offsets[rows + 1] - starts)
    most = pair_feed.padded_length(int(lengths.max()))
    out = np.zeros((len(rows), most, self.vectors.shape[1]), np.float32)
    for place, (start, length) in enumerate(zip(starts, lengths, strict=True)):
      out[place, :length] = self.vectors[start : start + length]
    return out


class MaxSim:
  """A searcher by late interaction.

  Args:
    store: The documents.
    seed: Of the order among documents of equal score.
  """

  def __init__(self, store: TokenVectors, *, seed: int = 0):
    self._store = store
    self._ties = searcher.tie_order(store.num_documents, seed=seed)

  def best(
    self,
    queries: Float[np.ndarray, "Q L D"],
    *,
    k: int,
    progress: bool = False,
  ) -> tuple[Float[np.ndarray, "Q k"], Int[np.ndarray, "Q k"]]:
    """Ranks all documents.

    Vectors of documents are read once, those of 256 documents at a time. In
    memory are these, the queries' and their k best documents, and some 16
    million scores, or 256 a query where that is more.

    Args:
      queries: Vectors of the tokens of each, zeros for pads.
      k: Documents a query; all where there are fewer.
      progress: Whether to show a progress bar.

    Returns:
      The k highest scores of each query, best first, and the documents' rows.
    """
    rows = np.zeros((len(queries), 0), np.int64)
    scores = np.zeros(rows.shape, np.float32)
    order = np.argsort(np.diff(self._store.offsets), kind="stable")
    size = max(_SCORES // len(queries) // _DOCUMENTS, 1) * _DOCUMENTS
    with tqdm(
      total=len(order), desc="late interaction", delay=2, disable=not progress
    ) as bar:
      for first in range(0, len(order), size):
        part = order[first : first + size]
        fresh = self._scores(queries, part)
        offered = np.broadcast_to(part, fresh.shape)
        scores, rows = self._kept(
          np.concatenate([scores, fresh], axis=1),
          np.concatenate([rows, offered], axis=1),
          k=k,
        )
        bar.update(len(part))
    return scores, rows

  def rerank(
    self,
    queries: Float[np.ndarray, "Q L D"],
    candidates: Int[np.ndarray, "Q C"],
    *,
    k: int,
  ) -> tuple[Float[np.ndarray, "Q k"], Int[np.ndarray, "Q k"]]:
    """Ranks some documents for each query.

    Args:
      queries: As for `best`.
      candidates: Rows of documents for each query, each once.
      k: Documents a query; all candidates where there are fewer.

    Returns:
      What `best` does.
    """
    scores = [
      np.asarray(_scored(query[None], self._store.padded(offered)))[0]
      for query, offered in zip(queries, candidates, strict=True)
    ]
    return self._kept(scores, candidates, k=k)

  def _kept(
    self, scores: Sequence[np.ndarray], rows: Sequence[np.ndarray], *, k: int
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns the best scores of each query, and the documents' rows."""
    best = [
      searcher.best_rows(found, k, self._ties[offered])
      for found, offered in zip(scores, rows, strict=True)
    ]
    kept = (
      np.stack([one[at] for one, at in zip(every, best, strict=True)])
      for every in (scores, rows)
    )
    return tuple(kept)

  def _scores(
    self, queries: np.ndarray, rows: np.ndarray
  ) -> Float[np.ndarray, "Q C"]:
    """Scores documents, which are of like length."""
    missing = -len(queries) % _QUERIES
    queries = np.pad(queries, ((0, missing), (0, 0), (0, 0)))
    out = np.empty((len(queries), len(rows)), np.float32)
    for begin, filled in _blocks(rows):
      block = jax.device_put(self._store.padded(filled))
      real = out[:, begin : begin + _DOCUMENTS]
      for first in range(0, len(queries), _QUERIES):
        found = _scored(queries[first : first + _QUERIES], block)
        real[first : first + _QUERIES] = np.asarray(found)[:, : real.shape[1]]
    return out[: len(out) - missing]


def _blocks(rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
  """Yields where blocks of rows begin, and these, filled up with -1."""
  for begin in range(0, len(rows), _DOCUMENTS):
    block = rows[begin : begin + _DOCUMENTS]
    missing = _DOCUMENTS - len(block)
    yield begin, np.pad(block, (0, missing), constant_values=-1)


@jax.jit
def _scored(
  queries: Float[Array, "B L D"], documents: Float[Array, "M K D"]
) -> Float[Array, "B M"]:
  return dual_encoder.max_sim(queries, documents)
