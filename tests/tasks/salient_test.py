import numpy as np
import pytest

from genret.core import terms
from genret.core.errors import ConfigError
from genret.core.terms import TermStatistics
from genret.tasks import salient
from genret.tasks.salient import SalientNgrams, SampledTerms


def pairs(task, collection):
  return [
    pair
    for block in task.texts(collection)
    for pair in zip(block.documents, block.texts, strict=True)
  ]


def test_ngrams_of_real_passages_stand_in_them(few):
  found = pairs(SalientNgrams(rate=1.0), few)
  contents = [document.contents for document in few.documents()]
  assert {row for row, _ in found} == set(range(len(contents)))
  for row, ngram in found:
    assert ngram in contents[row]
    assert "\n" not in ngram
    cut = terms.words(ngram)
    assert 2 <= len(cut.terms) <= 3
    assert cut.terms[0] is not None
    assert cut.terms[-1] is not None
  assert len(found) <= 5 * len(contents)


def test_ngrams_are_the_heaviest_by_brute_force(few):
  contents = [document.contents for document in few.documents()][:40]
  statistics = TermStatistics.count(contents)
  task = SalientNgrams(rate=1.0, num_ngrams=1, min_words=1, max_words=2)
  for text in contents:
    found = terms.words(text)
    weights = statistics.weights(found)
    best = 0.0
    for i, term in enumerate(found.terms):
      if term is None:
        continue
      best = max(best, weights[term])
      after = found.terms[i + 1] if i + 1 < len(found.terms) else None
      gap = "," if after is None else text[found.ends[i] : found.starts[i + 1]]
      if gap in (" ", "-", "'", "’"):
        best = max(best, weights[term] + weights[after] * (after != term))
    [ngram] = task.queries(text, statistics, 0)
    own = set(terms.words(ngram).terms)
    assert sum(weights[term] for term in own) == pytest.approx(best)


def test_terms_are_sampled_by_weight():
  text = "alpha beta gamma"
  found = terms.words(text)
  weights = dict(zip(found.terms, [3.0, 2.0, 1.0], strict=True))
  rng = np.random.default_rng(0)
  drawn = [
    salient.sampled_terms(text, found, weights, num_terms=1, rng=rng)
    for _ in range(3000)
  ]
  shares = [drawn.count(word) / 3000 for word in text.split()]
  assert shares == pytest.approx([1 / 2, 1 / 3, 1 / 6], abs=0.03)


def test_sampled_terms_depend_on_seed_and_row_alone(few):
  task = SampledTerms(rate=1.0, num_queries=2, num_terms=4)
  found = pairs(task, few)
  assert len(found) == 2 * few.num_documents
  assert max(len(query.split()) for _, query in found) == 4
  assert pairs(task, few) == found
  other = pairs(SampledTerms(rate=1.0, num_queries=2, num_terms=4, seed=1), few)
  assert other != found
  contents = [document.contents for document in few.documents()]
  statistics = TermStatistics.count(contents)
  alone = task.queries(contents[7], statistics, 7)
  assert alone == [query for row, query in found if row == 7]


def test_documents_with_no_term_have_no_query():
  statistics = TermStatistics.count(["", "to be", "one tower"])
  for task in (SampledTerms(rate=1.0), SalientNgrams(rate=1.0)):
    assert task.queries("", statistics, 0) == []
    assert task.queries("to be", statistics, 1) == []


def test_the_title_can_be_left_out(small):
  with_title = pairs(SalientNgrams(rate=1.0, min_words=1), small)
  without = pairs(SalientNgrams(rate=1.0, min_words=1, title=False), small)
  assert any("Tower" in text for _, text in with_title)
  assert not any("Tower" in text for _, text in without)


@pytest.mark.parametrize(
  ("kind", "settings", "message"),
  [
    (SampledTerms, {"num_queries": 0}, "num_queries must be"),
    (SampledTerms, {"num_terms": 0}, "num_terms must be"),
    (SampledTerms, {"seed": -1}, "seed must be"),
    (SalientNgrams, {"num_ngrams": 0}, "num_ngrams must be"),
    (SalientNgrams, {"min_words": 0}, "min_words must be"),
    (SalientNgrams, {"min_words": 4}, "min_words <= max_words must hold"),
  ],
)
def test_wrong_settings_are_refused(kind, settings, message):
  with pytest.raises(ConfigError, match=message):
    kind(rate=1.0, **settings)
