"""Clusters of queries."""

import numpy as np
import pytest

from genret.core.collection import Query
from genret.core.errors import ConfigError
from genret.stages import query_clusters


def queries(*texts):
  return [Query(query_id=f"{t}-{i}", text=t) for i, t in enumerate(texts)]


def encode(texts):
  """Two directions, and a little of where the text stands."""
  return np.array([[1.0, 0.0] if "cat" in t else [0.0, 1.0] for t in texts])


def test_queries_of_a_kind_lie_together():
  train = queries("a cat", "a dog", "cats", "dogs")
  found = query_clusters.fit(
    train, queries("my cat", "my dog"), encode=encode, count=2
  )
  assert list(found)[:4] == [query.query_id for query in train]
  cats = {label for query, label in found.items() if "cat" in query}
  dogs = {label for query, label in found.items() if "dog" in query}
  assert cats | dogs == {0, 1} and len(cats) == len(dogs) == 1


def test_more_clusters_than_queries_are_refused():
  with pytest.raises(ConfigError, match="3 clusters are wanted of 2"):
    query_clusters.fit(queries("a", "b"), [], encode=encode, count=3)
