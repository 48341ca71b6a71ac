import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genret.core.errors import ConfigError
from genret.core.text import normalise_query
from genret.querygen.near_duplicates import jaccard, repeats
from genret.querygen.words import words

QUERIES = st.lists(st.text("abcdefg", max_size=8).map(" ".join), max_size=15)


def by_brute_force(texts, threshold):
  """Compares each query with every one that stayed."""
  stayed, known, out = [], set(), []
  for text in texts:
    key, found = normalise_query(text), set(words(text))
    if key in known:
      out.append("same")
    elif found and any(jaccard(found, s) >= threshold for s in stayed if s):
      out.append("near")
    else:
      stayed.append(found)
      out.append("first")
    known.add(key)
  return out


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(QUERIES, st.sampled_from([0.2, 1 / 3, 0.5, 0.6, 2 / 3, 0.75, 0.8, 1.0]))
def test_finds_all_that_comparing_everything_finds(texts, threshold):
  expected = by_brute_force(texts, threshold)
  assert repeats(texts, threshold=threshold) == expected


def test_a_repeat_is_none_to_those_after_it():
  a, b, c = "a b c d e", "a b c d f", "a b c g f"
  assert repeats([a, b, c], threshold=0.6) == ["first", "near", "first"]
  assert repeats([b, a, c], threshold=0.6) == ["first", "near", "near"]


def test_without_a_threshold_only_the_same_texts_repeat():
  texts = ["Who is it?", "who is  IT?", "who is it", "???", "???", "!"]
  assert repeats(texts, threshold=None) == [
    "first",
    "same",
    "first",
    "first",
    "same",
    "first",
  ]
  assert repeats(texts, threshold=1.0)[2] == "near"
  assert repeats([]) == []


@pytest.mark.parametrize("threshold", [0, -1, 1.5, float("nan")])
def test_a_threshold_is_a_share(threshold):
  with pytest.raises(ConfigError, match="over 0"):
    repeats(["a"], threshold=threshold)


def test_comparisons_grow_with_the_queries_and_not_their_square(monkeypatch):
  rng = random.Random(0)
  vocabulary = [f"w{i}" for i in range(3000)]

  def comparisons(number):
    counted = []
    monkeypatch.setattr(
      "genret.querygen.near_duplicates.jaccard",
      lambda a, b: counted.append(1) or jaccard(a, b),
    )
    repeats([" ".join(rng.sample(vocabulary, 9)) for _ in range(number)])
    return len(counted)

  assert comparisons(2000) < 20 * 2000  # of 2 million pairs
