import time

import numpy as np
import pytest
from hypothesis import given, strategies

from genret.tasks import representations


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    ("", []),
    ("   ", []),
    ("No end", ["No end"]),
    ("One. Two! Three?", ["One.", "Two!", "Three?"]),
    ('He said "Go." Then he left.', ['He said "Go."', "Then he left."]),
    ("It cost $3.5 million. Cheap.", ["It cost $3.5 million.", "Cheap."]),
    ("By J. R. R. Tolkien. Good.", ["By J. R. R. Tolkien.", "Good."]),
    ("In the U.S. they did. Yes.", ["In the U.S. they did.", "Yes."]),
    ("and so on... but not here. Ok.", ["and so on... but not here.", "Ok."]),
    ("A line\nanother line", ["A line", "another line"]),
    ("これは本。あれは川。", ["これは本。", "あれは川。"]),
    ("It fell in 1990. 12 died.", ["It fell in 1990.", "12 died."]),
  ],
)
def test_sentences_by_hand(text, expected):
  assert representations.sentences(text) == expected


@pytest.mark.parametrize("text", [".", " ", '."', "。", "\t.", "a. ", " \n"])
def test_a_long_run_takes_no_longer_than_its_length(text):
  started = time.process_time()
  representations.sentences(text * 100_000)
  assert time.process_time() - started < 5  # the square would be minutes


def test_short_sentences_are_left_out():
  text = "One two. One two three. One two three four."
  assert representations.sentences(text, min_words=3) == [
    "One two three.",
    "One two three four.",
  ]


@given(strategies.text(alphabet="aB.!? \n\"'。1", max_size=60))
def test_sentences_lose_nothing_but_white_space(text):
  joined = "".join(representations.sentences(text))
  assert "".join(joined.split()) == "".join(text.split())


@given(
  size=strategies.integers(1, 30),
  length=strategies.integers(1, 12),
  shortest=strategies.integers(1, 12),
)
def test_spans_are_spans(size, length, shortest):
  rng = np.random.default_rng(0)
  shortest = min(shortest, length)
  found = representations.spans(
    list(range(size)), count=5, length=length, min_length=shortest, rng=rng
  )
  assert len(found) == 5
  for span in found:
    assert span == list(range(span[0], span[0] + len(span)))
    assert min(shortest, size) <= len(span) <= min(length, size)


def test_every_start_is_equally_likely():
  rng = np.random.default_rng(0)
  found = representations.spans(list(range(10)), count=8000, length=7, rng=rng)
  counts = np.bincount([span[0] for span in found])
  assert len(counts) == 4
  assert np.all(np.abs(counts - 2000) < 5 * np.sqrt(8000 * 0.25 * 0.75))
