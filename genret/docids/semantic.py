"""Semantic docids: the path to a document in a tree of clusters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from genret.core.docid_table import FIRST_SYMBOL, DocidTable, symbol_dtype
from genret.docids.corpus import Corpus, check_vectors

if TYPE_CHECKING:
  from genret.docids.hierarchy import Leaf


def fit(
  collection: Corpus,
  *,
  embeddings: np.ndarray | None = None,
  seed: int = 0,
  k: int = 10,
  leaf_size: int = 100,
  max_depth: int = 16,
  sample: int = 8_192,
  iterations: int | None = None,
) -> DocidTable:
  """Names each document by its clusters and its place in the last of them.

  Tay et al., 2022 (arXiv 2202.06991), algorithm 1, with the sizes of Pradeep
  et al., 2023 (arXiv 2305.11841) by default: k clusters a level, split until
  one holds at most `leaf_size` documents; a docid is the digits of the
  clusters from the root, then the document's number in the last. Documents
  of one leaf are numbered in a seeded random order, so that a corpus in
  topical order lends the docids no meaning that the vectors do not have.

  Docids of a tree have several lengths and carry no EOS all the same: the
  path to a leaf begins no other leaf's path, so no docid is a proper prefix
  of another, and a trie knows where each one ends. Shorter ones are padded
  with 0, which is no digit's symbol (digit d is symbol 2 + d). An EOS would
  cost a step and teach the model nothing but the shape of the tree.

  Args:
    collection: whose documents are named.
    embeddings: [N, D], row i is document i.
    seed: of k-means, samples, even splits and numbers in a leaf.
    k: clusters a level.
    leaf_size: the most documents of a cluster that is not split.
    max_depth: the most levels of clusters; docids have one symbol more.
    sample: documents that the centroids of a larger cluster come from.
    iterations: the most of k-means at each split; None is 25 for up to
      16,384 documents and 5 for more.

  Returns:
    Docids of up to max_depth + 1 symbols, V = 2 + max(k, leaf_size).

  Raises:
    ConfigError: no embeddings, or a size that cannot be.
    UserError: not one row of embeddings a document.
  """
  embeddings = check_vectors(collection, embeddings, scheme="Semantic")
  from genret.docids.hierarchy import Hierarchy, leaves

  hierarchy = Hierarchy(
    k=k,
    leaf_size=leaf_size,
    max_depth=max_depth,
    sample=sample,
    iterations=iterations,
    seed=seed,
  )
  tree = leaves(embeddings, hierarchy)
  vocab_size = FIRST_SYMBOL + max(k, leaf_size)
  return DocidTable(
    codes=_codes(tree, symbol_dtype(vocab_size), seed),
    docnos=collection.docnos,
    vocab_size=vocab_size,
    scheme="semantic",
  )


def _codes(tree: "Sequence[Leaf]", dtype: np.dtype, seed: int) -> np.ndarray:
  """Spells each document's path and its place in a seeded random order."""
  random = np.random.default_rng(seed)
  length = 1 + max(len(leaf.path) for leaf in tree)
  codes = np.zeros((sum(len(leaf.rows) for leaf in tree), length), dtype)
  for leaf in tree:
    depth = len(leaf.path)
    codes[leaf.rows, :depth] = FIRST_SYMBOL + np.asarray(leaf.path, dtype)
    codes[leaf.rows, depth] = FIRST_SYMBOL + random.permutation(len(leaf.rows))
  return codes
