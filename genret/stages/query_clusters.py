"""Clusters of queries: k-means of the vectors of their texts."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from genret.core.collection import Query
from genret.core.errors import ConfigError
from genret.docids import kmeans
from genret.embeddings.encoder import Encoder

_BLOCK = 256  # queries between two looks of the progress bar


def fit(
  train: Sequence[Query],
  others: Sequence[Query],
  *,
  encode: Encoder,
  count: int,
  seed: int = 0,
) -> dict[str, int]:
  """Clusters training queries, and finds the cluster of any others.

  Args:
    train: whose vectors decide where clusters are.
    others: those of dev and test, which decide nothing.
    encode: from texts to vectors.
    count: how many clusters.
    seed: of their first centres.

  Returns:
    Query id -> its cluster, from 0; training queries first.

  Raises:
    ConfigError: there are fewer training queries than clusters.
  """
  if len(train) < count:
    raise ConfigError(
      f"{count} clusters are wanted of {len(train)} training queries; ask for"
      " fewer folds."
    )
  queries = [*train, *others]
  vectors = _vectors([query.text for query in queries], encode)
  rows = np.arange(len(queries))
  groups = [rows[: len(train)]]
  [found] = kmeans.fit(vectors, groups, k=count, seeds=[seed])
  labels = kmeans.assign(vectors, rows, found.centroids)
  return {
    query.query_id: int(label)
    for query, label in zip(queries, labels, strict=True)
  }


def _vectors(texts: Sequence[str], encode: Encoder) -> np.ndarray:
  blocks = range(0, len(texts), _BLOCK)
  progress = tqdm(blocks, desc="encoding queries", delay=2, leave=False)
  return np.concatenate(
    [encode(texts[start : start + _BLOCK]) for start in progress]
  )
