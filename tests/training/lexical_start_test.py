"""Lexical vectors and the head's lexical rows start as a bag of words."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.core.text import Tokenizer
from genret.training import lexical_start
from genret.training.lexical_start import Bags, LexicalStart

TEXTS = ["the house, the garden", "the garden", "", "a house of cards"]


@pytest.fixture(scope="module")
def bags():
  return Bags.of(TEXTS, Tokenizer(), num_tokens=8)


def _ids(text):
  return Tokenizer().encode([text], max_length=9, eos=False)[0]


def test_a_bag_has_each_token_once_and_no_markers(bags):
  for number, text in enumerate(TEXTS):
    own = bags.tokens[bags.offsets[number] : bags.offsets[number + 1]]
    assert own.tolist() == sorted(set(_ids(text)))


def test_only_the_first_tokens_are_read():
  short = Bags.of(TEXTS[:1], Tokenizer(), num_tokens=2)
  assert set(short.tokens.tolist()) == set(_ids(TEXTS[0])[:2])


def test_blocks_make_no_difference(monkeypatch, bags):
  monkeypatch.setattr(lexical_start, "_TEXTS", 3)
  again = Bags.of(iter(TEXTS), Tokenizer(), num_tokens=8)
  np.testing.assert_array_equal(again.tokens, bags.tokens)
  np.testing.assert_array_equal(again.offsets, bags.offsets)


def test_idf_is_bm25s(bags):
  idf = bags.idf()
  (the,), (cards,) = _ids("the"), _ids("cards")
  assert idf[the] == pytest.approx(math.log(1 + 2.5 / 2.5))
  assert idf[cards] == pytest.approx(math.log(1 + 3.5 / 1.5))
  assert idf[_ids("elephant")[0]] == 0


def test_vectors_have_the_length_of_their_idf(bags):
  table = lexical_start.vectors(bags, 400, stddev=0.5, seed=3)
  lengths = np.linalg.norm(table, axis=1)
  np.testing.assert_allclose(lengths, 0.5 * 20 * bags.idf(), rtol=0.15)
  again = lexical_start.vectors(bags, 400, stddev=0.5, seed=3)
  np.testing.assert_array_equal(table, again)
  other = lexical_start.vectors(bags, 400, stddev=0.5, seed=4)
  assert np.abs(table - other).max() > 0.1


def test_the_last_rows_hold_the_bags(bags):
  table = np.random.default_rng(0).normal(size=(bags.vocab_size, 5))
  before = np.full((8, 6), 7.0, np.float32)
  symbols = np.array([5, 2, 3, 4])
  after = lexical_start.start(
    jnp.asarray(before),
    symbols,
    bags,
    table=table.astype(np.float32),
    how=LexicalStart(norm=3.0),
  )
  after = np.asarray(after)
  np.testing.assert_array_equal(after[:3], before[:3])
  np.testing.assert_array_equal(after[:, :2], before[:, :2])
  for text, symbol in zip(TEXTS, symbols, strict=True):
    total = table[sorted(set(_ids(text)))].sum(0)
    length = np.linalg.norm(total) or 1.0
    np.testing.assert_allclose(after[3:, symbol], 3 * total / length, atol=1e-5)


def test_a_document_is_nearest_to_its_own_words(bags):
  """By hand: "garden house" has the bag of the first text but its comma."""
  table = lexical_start.vectors(bags, 256, stddev=0.1, seed=0)
  head = lexical_start.start(
    jnp.zeros((256, 4)),
    np.arange(4),
    bags,
    table=table,
    how=LexicalStart(),
  )
  for text, best in (("garden house", 0), ("the garden", 1), ("cards", 3)):
    query = table[_ids(text)].mean(0)
    assert int((query @ np.asarray(head)).argmax()) == best


def test_wrong_settings_are_refused():
  with pytest.raises(ConfigError, match="norm is 0"):
    LexicalStart(norm=0)
  with pytest.raises(ConfigError, match="num_tokens is 0"):
    LexicalStart(num_tokens=0)
