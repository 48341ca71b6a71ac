import bm25s
import pytest
from bm25s.stopwords import STOPWORDS_EN

from genret.core import terms
from genret.core.terms import TermStatistics
from genret.retrieval.bm25 import Bm25Config, analyse

TEXTS = [
  "The Tower of London stands by the river; London's tower is old.",
  "A river flows to the sea, 3.5 km from T. S. Eliot's sleeping cats.",
  "snake_case and naïve café: it's what it was, isn't it?",
  "",
  "to be or not to be",
]


def test_stop_words_are_those_of_bm25s():
  assert terms.STOP_WORDS == set(STOPWORDS_EN)


def test_terms_are_those_that_bm25_matches():
  ours = [[t for t in terms.words(text).terms if t] for text in TEXTS]
  assert ours == analyse(TEXTS, Bm25Config())


def test_words_are_where_they_stand():
  for text in TEXTS:
    found = terms.words(text)
    for term, start, end in zip(
      found.terms, found.starts, found.ends, strict=True
    ):
      again = terms.words(text[start:end])
      assert (again.terms, again.ends) == ([term], [end - start])


def test_settings_are_those_of_the_searcher():
  config = Bm25Config()
  assert (terms.K1, terms.B) == (config.k1, config.b)


def test_weights_are_the_scores_of_bm25s():
  texts = TEXTS[:3]
  index = bm25s.BM25(method="lucene", k1=terms.K1, b=terms.B, backend="numpy")
  index.index(analyse(texts, Bm25Config()), show_progress=False)
  counted = TermStatistics.count(iter(texts))
  assert counted.num_documents == 3
  for i, text in enumerate(texts):
    weights = counted.weights(terms.words(text))
    assert list(weights) == list(
      dict.fromkeys(analyse([text], Bm25Config())[0])
    )
    for term, weight in weights.items():
      scores = index.get_scores([term])
      assert weight == pytest.approx(float(scores[i]), rel=1e-5)


def test_a_corpus_without_terms():
  counted = TermStatistics.count(["", "to be"])
  assert counted.weights(terms.words("")) == {}
  assert (counted.mean_length, dict(counted.frequencies)) == (0.0, {})
