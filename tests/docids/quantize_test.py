import numpy as np
import pytest

from genret.core.errors import ConfigError, UserError
from genret.docids import quality, quantize
from genret.docids.corpus import Listed
from genret.docids.quantize import Codebooks

DIM, K, COUNT = 4, 4, 300
CORPUS = Listed.named(map(str, range(COUNT)))


def drawn(dim=DIM, seed=0):
  return np.random.default_rng(seed).normal(size=(COUNT, dim))


def nearest(points, centroids):
  """The slow way, in double precision."""
  apart = points[:, None].astype(np.float64) - centroids[None]
  return np.square(apart).sum(-1).argmin(-1)


def test_every_residual_code_is_the_nearest_to_what_is_left():
  vectors = drawn().astype(np.float32)
  found = quantize.residual(vectors, Codebooks(levels=3, k=K))
  left = vectors.astype(np.float64)
  errors = [np.square(left).sum()]
  for level, book in enumerate(found.books):
    expected = nearest(left, book)
    np.testing.assert_array_equal(found.codes[:, level], expected)
    left -= book[expected]
    errors.append(np.square(left).sum())
  assert errors == sorted(errors, reverse=True)
  table = quantize.fit_residual(CORPUS, embeddings=vectors, levels=3, k=K)
  np.testing.assert_array_equal(table.codes, found.codes + [2, 6, 10])
  assert table.level_starts == (2, 6, 10)
  assert table.vocab_size == 14


def test_every_product_code_is_the_nearest_to_its_part():
  vectors = drawn(2 * DIM).astype(np.float16)
  found = quantize.product(vectors, Codebooks(levels=2, k=K))
  for level, part in enumerate((slice(0, DIM), slice(DIM, 2 * DIM))):
    expected = nearest(vectors[:, part], found.books[level])
    np.testing.assert_array_equal(found.codes[:, level], expected)
  table = quantize.fit_product(CORPUS, embeddings=vectors, levels=2, k=K)
  np.testing.assert_array_equal(table.codes, found.codes + [2, 6])
  assert table.scheme == "product"


def test_four_towns_of_four_houses_by_hand():
  """The first symbol is the town, and the second the house in any town."""
  towns, houses = 9 * np.eye(DIM), np.eye(DIM)
  vectors = (towns[:, None] + houses).reshape(-1, DIM).astype(np.float32)
  corpus = Listed.named(map(str, range(2 * K * K)))
  table = quantize.fit_residual(
    corpus, embeddings=np.repeat(vectors, 2, axis=0), levels=2, k=K
  )
  codes = table.codes.reshape(K, K, 2, 2)  # town, house, twice, symbol
  assert (codes[:, :1, :1, 0] == codes[..., 0]).all()
  assert (codes[:1, :, :1, 1] == codes[..., 1]).all()
  assert sorted(codes[:, 0, 0, 0].tolist()) == [2, 3, 4, 5]
  assert sorted(codes[0, :, 0, 1].tolist()) == [6, 7, 8, 9]
  assert len(table.collisions()) == K * K


def test_a_file_is_quantised_block_by_block(tmp_path, monkeypatch):
  vectors = drawn().astype(np.float32)
  np.save(tmp_path / "v.npy", vectors)
  mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
  shape = Codebooks(levels=2, k=K, sample=64, seed=3)
  whole = quantize.residual(vectors, shape)
  monkeypatch.setattr(quantize, "_BLOCK", 70)
  parts = quantize.residual(mapped, shape)
  np.testing.assert_array_equal(whole.codes, parts.codes)
  np.testing.assert_array_equal(whole.books, parts.books)
  left = vectors - whole.books[0][nearest(vectors, whole.books[0])]
  expected = nearest(left, whole.books[1])
  np.testing.assert_array_equal(whole.codes[:, 1], expected)


def test_neighbours_share_their_first_symbols():
  vectors = drawn().astype(np.float32)
  table = quantize.fit_residual(CORPUS, embeddings=vectors, levels=3, k=K)
  similar = quality.describe(table, vectors).similarity
  assert similar[0] < similar[1] < similar[2]


def test_what_cannot_be_is_said():
  with pytest.raises(ConfigError, match="Residual docids need embeddings"):
    quantize.fit_residual(CORPUS)
  with pytest.raises(UserError, match="2 rows"):
    quantize.fit_product(CORPUS, embeddings=np.eye(2))
  with pytest.raises(ConfigError, match="sample at least k; .*sample=3"):
    quantize.fit_residual(CORPUS, embeddings=drawn(), k=4, sample=3)
  with pytest.raises(ConfigError, match="no 5 parts"):
    quantize.fit_product(CORPUS, embeddings=drawn(), levels=5, k=4)
