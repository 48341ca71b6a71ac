import dataclasses
import functools

import numpy as np

from genret.docids import permuted, quality, semantic, uniform
from genret.docids.corpus import Listed

CORPUS = Listed.named(map(str, range(80)))
SCHEME = functools.partial(semantic.fit, k=3, leaf_size=6)


def vectors():
  """Four clear topics."""
  random = np.random.default_rng(0)
  centres = 9 * np.eye(4)[np.arange(80) % 4]
  return (centres + random.normal(size=(80, 4))).astype(np.float32)


def test_the_tree_is_the_same_and_says_nothing():
  plain = SCHEME(CORPUS, embeddings=vectors(), seed=1)
  table = permuted.fit(CORPUS, embeddings=vectors(), seed=1, scheme=SCHEME)
  assert sorted(table.codes.tolist()) == sorted(plain.codes.tolist())
  assert (table.codes != plain.codes).any(axis=1).mean() > 0.9
  assert table.scheme == "permuted semantic"
  meant = quality.describe(plain, vectors())
  drawn = quality.describe(table, vectors())
  shape = dataclasses.replace(drawn, scheme="semantic", similarity=None)
  assert shape == dataclasses.replace(meant, similarity=None)
  assert meant.similarity[1] > drawn.similarity[1] + 0.2


def test_levels_are_kept_and_the_seed_decides():
  scheme = functools.partial(uniform.fit, levels=2, k=16)
  one, again, other = (
    permuted.fit(CORPUS, seed=seed, scheme=scheme) for seed in (1, 1, 2)
  )
  assert one.level_starts == (2, 18)
  np.testing.assert_array_equal(one.codes, again.codes)
  assert (one.codes != other.codes).any()
