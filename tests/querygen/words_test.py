from hypothesis import given, settings
from hypothesis import strategies as st

from genret.querygen.words import longest_run, places, words

FEW = st.text("abc", max_size=12).map(list)


def test_words_have_no_case_punctuation_or_wide_forms():
  assert words("  What's the ＪＡＸ_2 re-run?!") == [
    "what",
    "s",
    "the",
    "jax_2",
    "re",
    "run",
  ]
  assert words("... ?!") == []
  assert words("Где стоит дом?") == ["где", "стоит", "дом"]


def by_brute_force(query, text):
  lengths = range(len(query), 0, -1)
  grams = {
    n: {tuple(text[i : i + n]) for i in range(len(text) - n + 1)}
    for n in lengths
  }
  for n in lengths:
    for i in range(len(query) - n + 1):
      if tuple(query[i : i + n]) in grams[n]:
        return n
  return 0


@settings(deadline=None)
@given(FEW, FEW)
def test_longest_run_is_that_of_all_pairs_of_n_grams(query, text):
  assert longest_run(query, places(text)) == by_brute_force(query, text)
