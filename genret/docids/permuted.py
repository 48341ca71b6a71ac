"""Permuted docids: the control of a scheme that says something."""

import dataclasses
from collections.abc import Callable

import numpy as np

from genret.core.docid_table import DocidTable
from genret.docids import semantic
from genret.docids.corpus import Corpus


def fit(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  scheme: Callable[..., DocidTable] = semantic.fit,
) -> DocidTable:
  """Makes docids of a scheme, and deals them out anew among the documents.

  The tree is the same, with its depth, branching and collisions, and a docid
  tells nothing of its document: what a scheme gains over this it gains by
  what its docids mean, and not by their shape.

  >>> from genret.docids import naive
  >>> from genret.docids.corpus import Listed
  >>> corpus = Listed.named(f"d{i}" for i in range(10))
  >>> fit(corpus, scheme=naive.fit_sequential).codes[:, 0].tolist()
  [5, 10, 11, 6, 8, 9, 4, 2, 3, 7]

  Args:
    collection: whose documents are named.
    embeddings: for the scheme, if it needs any.
    seed: handed to the scheme, and of the permutation.
    scheme: `fit` of a scheme, or a functools.partial of it.

  Returns:
    The scheme's docids, each at a document drawn for it.
  """
  table = scheme(collection, embeddings=embeddings, seed=seed)
  random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
  return dataclasses.replace(
    table,
    codes=table.codes[random.permutation(table.num_documents)],
    scheme=f"permuted {table.scheme}",
  )
