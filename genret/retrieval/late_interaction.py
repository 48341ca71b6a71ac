"""Late interaction: every token of every document has a vector, all are read.

Exact: a query's score with each document is that of `dual_encoder.max_sim`.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from genret.core.errors import ArtifactError
from genret.models import dual_encoder
from genret.retrieval import searcher
from genret.tasks import pair_feed

VECTORS, OFFSETS = "vectors.npy", "offsets.npy"
_DOCUMENTS = 256  # scored at a time
_QUERIES = 32
_SCORES = 1 << 26  # in memory


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TokenVectors:
  """Vectors of the tokens of N documents, end to end.

  Attributes:
    vectors: float16 [S, D], each of length 1; memory-mapped when loaded.
    offsets: int64 [N + 1], where each document begins and the last ends.
  """

  vectors: np.ndarray
  offsets: np.ndarray

  @property
  def num_documents(self) -> int:
    """N."""
    return len(self.offsets) - 1

  def save(self, folder: Path) -> None:
    """Writes both arrays into a new folder."""
    folder.mkdir(parents=True)
    np.save(folder / VECTORS, self.vectors)
    np.save(folder / OFFSETS, self.offsets)

  @classmethod
  def load(cls, folder: Path) -> "TokenVectors":
    """Maps saved vectors.

    Raises:
      ArtifactError: There are none.
    """
    try:
      vectors, offsets = (
        np.load(folder / name, mmap_mode="r") for name in (VECTORS, OFFSETS)
      )
    except (OSError, ValueError) as error:
      raise ArtifactError(
        f"{folder} holds no vectors of tokens ({error}). Remove it; they are"
        " then made anew."
      ) from error
    return cls(vectors=vectors, offsets=np.asarray(offsets))

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

    Args:
      queries: Vectors of the tokens of each, zeros for pads.
      k: Documents a query; all where there are fewer.
      progress: Whether to show a progress bar.

    Returns:
      The k highest scores of each query, best first, and the documents' rows.
    """
    most = max(_SCORES // self._store.num_documents, _QUERIES)
    parts = [
      self._scores(queries[first : first + most], progress=progress)
      for first in range(0, len(queries), most)
    ]
    found = np.concatenate(parts)
    rows = np.stack([searcher.best_rows(row, k, self._ties) for row in found])
    return np.take_along_axis(found, rows, axis=1), rows

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
    scores, rows = [], []
    for query, offered in zip(queries, candidates, strict=True):
      found = _scored(query[None], self._store.padded(offered))[0]
      kept = searcher.best_rows(np.asarray(found), k, self._ties[offered])
      scores.append(np.asarray(found)[kept])
      rows.append(offered[kept])
    return np.stack(scores), np.stack(rows)

  def _scores(
    self, queries: np.ndarray, *, progress: bool
  ) -> Float[np.ndarray, "Q N"]:
    """Scores all documents, those of one length together."""
    missing = -len(queries) % _QUERIES
    queries = np.pad(queries, ((0, missing), (0, 0), (0, 0)))
    out = np.empty((len(queries), self._store.num_documents), np.float32)
    hidden = not progress
    for rows in tqdm(
      self._blocks(), desc="late interaction", delay=2, disable=hidden
    ):
      block = jax.device_put(self._store.padded(rows))
      real = rows[rows >= 0]
      for first in range(0, len(queries), _QUERIES):
        found = _scored(queries[first : first + _QUERIES], block)
        out[first : first + _QUERIES, real] = np.asarray(found)[:, : len(real)]
    return out[: len(out) - missing]

  def _blocks(self) -> Iterator[np.ndarray]:
    """Yields rows of documents of like length, filled up with -1."""
    order = np.argsort(np.diff(self._store.offsets), kind="stable")
    for first in range(0, len(order), _DOCUMENTS):
      rows = order[first : first + _DOCUMENTS]
      yield np.pad(rows, (0, _DOCUMENTS - len(rows)), constant_values=-1)


@jax.jit
def _scored(
  queries: Float[Array, "B L D"], documents: Float[Array, "M K D"]
) -> Float[Array, "B M"]:
  return dual_encoder.max_sim(queries, documents)
