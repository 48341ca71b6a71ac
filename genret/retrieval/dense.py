"""Exact dense search: what a sentence encoder knows before any training.

A document and a query are a vector each, of the same encoder, and documents
are ranked by the cosine between them. Nothing is approximated: a retriever
that starts from this encoder is held against all that it started with.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from genret.core.collection import Query
from genret.core.errors import UserError
from genret.core.runs import Run
from genret.decoding import top_k
from genret.embeddings import batching
from genret.embeddings.encoder import Encoder
from genret.embeddings.store import EmbeddingStore
from genret.retrieval import searcher

_QUERIES = 256  # scored at a time
_BLOCK = 1 << 16  # documents whose vectors are on the device at a time,
_NUMBERS = 1 << 25  # or fewer, where these are more numbers


class Dense:
  """A searcher that ranks documents by the cosine of their vectors.

  >>> def encode(texts):
  ...   return np.array([[text.count(c) for c in "ab"] for text in texts])
  >>> store = EmbeddingStore(
  ...   vectors=np.array([[0, 1], [3, 1]], np.float32), docnos=["d1", "d2"]
  ... )
  >>> run = Dense(encode).fit(store).search(
  ...   [Query(query_id="q", text="abaa")], k=2
  ... )
  >>> [(hit.docno, round(hit.score, 3)) for hit in run["q"]]
  [('d2', 1.0), ('d1', 0.316)]

  Args:
    encoder: Turns queries into vectors; that of the documents' vectors.
    seed: Of the order among documents of equal score.
    block: Documents looked at at a time, at most: a block of vectors is never
      larger than 128 MiB of float32.
    unit: Whether vectors are compared by their cosine; else by their inner
      product.
  """

  def __init__(
    self,
    encoder: Encoder,
    *,
    seed: int = 0,
    block: int = _BLOCK,
    unit: bool = True,
  ):
    self._encoder = encoder
    self._unit = unit
    self._seed = seed
    self._block = block

  def fit(self, store: EmbeddingStore) -> "Dense":
    """Takes the documents' vectors, which may be memory-mapped.

    Returns:
      The searcher itself.
    """
    self._store = store
    ties = searcher.tie_order(store.num_documents, seed=self._seed)
    self._order = np.argsort(ties)  # rows, those that go first in a tie first
    return self

  def search(
    self, queries: Sequence[Query], *, k: int, progress: bool = False
  ) -> Run:
    """Ranks all documents.

    Vectors of documents are read once, a block at a time; in memory are a
    block, and the vectors and the best k of all queries.

    Args:
      queries: What to search for.
      k: Hits a query; fewer where there are fewer documents.
      progress: Whether to show progress bars.

    Returns:
      Query id to hits, best first, scores strictly decreasing.

    Raises:
      UserError: The encoder's vectors are of another size.
    """
    searcher.check_k(k)
    if not queries:
      return {}
    vectors = self._encode(queries, progress=progress)
    scores, rows = self.best(vectors, k=k, progress=progress)
    return {
      query.query_id: searcher.hits(rows[i], scores[i], self._store.docnos)
      for i, query in enumerate(queries)
    }

  def _encode(
    self, queries: Sequence[Query], *, progress: bool
  ) -> Float[np.ndarray, "Q D"]:
    texts = [query.text for query in queries]
    with tqdm(
      total=len(texts), desc="encode", unit="query", disable=not progress
    ) as bar:
      vectors = batching.encode(self._encoder, texts, advance=bar.update)
    if vectors.shape[1] != self._store.dim:
      raise UserError(
        f"Queries became vectors of {vectors.shape[1]} numbers and documents"
        f" have {self._store.dim}: they are of another encoder."
      )
    return vectors

  def best(
    self,
    queries: Float[np.ndarray, "Q D"],
    *,
    k: int,
    progress: bool = False,
  ) -> tuple[Float[np.ndarray, "Q k"], Int[np.ndarray, "Q k"]]:
    """Ranks all documents for vectors of queries.

    Documents' vectors may lie on disk: those of a block are held, a few times
    over, and nothing else but what is given and returned.

    Args:
      queries: Vectors of the documents' encoder.
      k: Documents a query; all where there are fewer.
      progress: Whether to show a progress bar.

    Returns:
      The k highest scores of each query, best first, and the documents' rows.
    """
    k = min(k, self._store.num_documents)
    chunks = _chunks(queries)
    kept = [
      (jnp.full((_QUERIES, k), -jnp.inf), jnp.zeros((_QUERIES, k), jnp.int32))
      for _ in chunks
    ]
    most = max(_NUMBERS // self._store.dim, 1)
    size = min(self._block, most, len(self._order))
    starts = range(0, len(self._order), size)
    for first in tqdm(
      starts, desc="dense", unit="block", delay=2, disable=not progress
    ):
      rows = self._order[first : first + size]
      block = np.zeros((size, self._store.dim), np.float32)
      block[: len(rows)] = self._store.vectors[rows]
      block = jax.device_put(block)
      for i, chunk in enumerate(chunks):
        kept[i] = _merged(
          kept[i],
          chunk,
          block,
          first=first,
          count=len(rows),
          k=k,
          unit=self._unit,
        )
    found = [np.concatenate(part) for part in zip(*kept, strict=True)]
    scores, places = (part[: len(queries)] for part in found)
    return scores, self._order[places]


def _chunks(queries: np.ndarray) -> list[Float[Array, "B D"]]:
  """Cuts queries into batches of one shape."""
  missing = -len(queries) % _QUERIES
  padded = np.pad(queries, ((0, missing), (0, 0)))
  return [
    jax.device_put(padded[i : i + _QUERIES])
    for i in range(0, len(padded), _QUERIES)
  ]


@partial(jax.jit, static_argnames=("k", "unit"))
def _merged(
  kept: tuple[Float[Array, "B k"], Int[Array, "B k"]],
  queries: Float[Array, "B D"],
  block: Float[Array, "N D"],
  *,
  first: Int[Array, ""],
  count: Int[Array, ""],
  k: int,
  unit: bool,
) -> tuple[Float[Array, "B k"], Int[Array, "B k"]]:
  """Returns the best of what was kept and of a block of documents.

  Of equal scores the earlier place wins: `top_k` takes the earlier of a
  block, and what was kept stands before it.
  """
  if unit:
    queries, block = _unit(queries), _unit(block)
  scores = jnp.einsum("bd,nd->bn", queries, block, precision="highest")
  scores = jnp.where(jnp.arange(len(block)) < count, scores, -jnp.inf)
  best, at = top_k.top_k(top_k.blocks(scores, least=k), k)
  scores = jnp.concatenate([kept[0], best], axis=1)
  places = jnp.concatenate([kept[1], first + at], axis=1)
  best, at = jax.lax.top_k(scores, k)
  return best, jnp.take_along_axis(places, at, axis=1)


def _unit(vectors: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
  norm = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
  return vectors / jnp.maximum(norm, 1e-12)
