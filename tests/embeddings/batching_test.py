import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import UserError
from genret.embeddings import batching


def bag_of_letters(texts):
  """A small encoder: how often a text has each of three letters."""
  return np.array([[t.count(c) for c in "abc"] for t in texts], np.float32)


@given(st.lists(st.text("abc", max_size=9), min_size=1), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_order_and_batches_do_not_matter(texts, batch_size):
  found = batching.encode(bag_of_letters, texts, batch_size=batch_size)
  np.testing.assert_array_equal(found, bag_of_letters(texts))


def test_progress_counts_every_text():
  done = []
  texts = ["a"] * 5
  batching.encode(bag_of_letters, texts, batch_size=2, advance=done.append)
  assert done == [2, 2, 1]


def test_texts_of_a_batch_are_alike_in_length():
  batches = []

  def encoder(texts):
    batches.append([len(text) for text in texts])
    return bag_of_letters(texts)

  texts = ["a" * n for n in (1, 9, 2, 8)]
  batching.encode(encoder, texts, batch_size=2)
  assert batches == [[9, 8], [2, 1]]


def test_no_texts_give_no_vectors():
  assert batching.encode(bag_of_letters, []).shape == (0, 0)


def test_an_encoder_that_breaks_its_promise_is_named():
  with pytest.raises(UserError, match=r"\[2, D\].*\[1, 3\]"):
    batching.encode(lambda texts: bag_of_letters(texts[:1]), ["a", "b"])
  with pytest.raises(UserError, match=r"\[2, D\].*\[2\]"):
    batching.encode(lambda texts: np.ones(len(texts)), ["a", "b"])
  with pytest.raises(UserError, match=r"\[1, 2\].*\[1, 1\]"):
    batching.encode(
      lambda texts: np.ones((1, len(texts[0]))), ["aa", "b"], batch_size=1
    )
  with pytest.raises(UserError, match="NaN.*'b'"):
    batching.encode(
      lambda texts: np.array([[np.nan if t == "b" else 1] for t in texts]),
      ["a", "b"],
    )
