import contextlib
import io
import logging
import math
import os
import random
import subprocess
import sys

import pytest

from genret.core.collection import Document, Query
from genret.core.errors import ConfigError, UserError
from genret.retrieval.bm25 import BM25, Bm25Config, analyse

PLAIN = {"stemmer": None, "stop_words": None}


def documents(*texts):
  return [
    Document(docno=f"d{i}", title="", text=text) for i, text in enumerate(texts)
  ]


def query(text):
  return [Query(query_id="q", text=text)]


def oracle(texts, wanted, config):
  """Lucene's and Robertson's formulas, one document after the other."""
  words = [text.split() for text in texts]
  mean = sum(map(len, words)) / len(words)
  scores = []
  for own in words:
    score = 0.0
    for term in wanted.split():
      df = sum(term in other for other in words)
      if df:
        odds = (len(words) - df + 0.5) / (df + 0.5)
        lucene = config.method == "lucene"
        idf = math.log(1 + odds if lucene else max(1, odds))
        norm = config.k1 * (1 - config.b + config.b * len(own) / mean)
        score += idf * own.count(term) / (own.count(term) + norm)
    scores.append(score)
  return scores


@pytest.mark.parametrize("method", ["lucene", "robertson"])
@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (2.0, 1.0), (0.5, 0.0)])
def test_scores_equal_the_formula(method, k1, b):
  rng = random.Random(0)
  vocabulary = ["apple", "pear", "plum", "fig", "kiwi", "lime"]
  texts = [
    " ".join(rng.choices(vocabulary, k=rng.randint(1, 12))) for _ in range(20)
  ]
  config = Bm25Config(method=method, k1=k1, b=b, **PLAIN)
  found = (
    BM25(config).fit(documents(*texts)).search(query("fig kiwi fig"), k=20)
  )
  expected = {
    f"d{i}": score
    for i, score in enumerate(oracle(texts, "fig kiwi fig", config))
    if score > 0
  }
  assert {hit.docno for hit in found["q"]} == set(expected)
  for hit in found["q"]:
    assert hit.score == pytest.approx(expected[hit.docno], rel=1e-4)
  scores = [hit.score for hit in found["q"]]
  assert all(a > b for a, b in zip(scores, scores[1:], strict=False))


def test_title_stem_and_stop_words_are_used():
  corpus = [
    Document(docno="a", title="Running", text="of the bulls"),
    Document(docno="b", title="", text="the runner and the run"),
  ]
  bm25 = BM25().fit(corpus)
  run = bm25.search(
    [
      Query(query_id="stem", text="runs"),
      Query(query_id="stop", text="the and of"),
      Query(query_id="none", text=""),
      Query(query_id="unknown", text="zebra"),
    ],
    k=10,
  )
  assert {hit.docno for hit in run["stem"]} == {"a", "b"}
  assert run["stop"] == run["none"] == run["unknown"] == []


def test_only_documents_with_a_term_are_hits_and_k_cuts():
  bm25 = BM25().fit(documents("apple", "apple pear", "plum"))
  assert len(bm25.search(query("apple"), k=10)["q"]) == 2
  assert len(bm25.search(query("apple"), k=1)["q"]) == 1
  with pytest.raises(UserError, match="from 1 on"):
    bm25.search(query("apple"), k=0)


def test_expansions_are_appended():
  bm25 = BM25().fit(documents("apple", "pear"), expansions={"d1": ["zebra"]})
  assert [hit.docno for hit in bm25.search(query("zebras"), k=5)["q"]] == ["d1"]


def test_ties_follow_the_seed_and_neither_docno_nor_place():
  texts = ["apple pie"] * 8
  ranking = [
    hit.docno
    for hit in BM25().fit(documents(*texts)).search(query("apple"), k=8)["q"]
  ]
  assert ranking not in (sorted(ranking), sorted(ranking, reverse=True))
  renamed = [
    Document(docno=f"z{7 - i}", title="", text=text)
    for i, text in enumerate(texts)
  ]
  again = BM25().fit(renamed).search(query("apple"), k=8)["q"]
  assert [hit.docno for hit in again] == [f"z{7 - int(d[1])}" for d in ranking]
  other = BM25(Bm25Config(seed=1)).fit(documents(*texts))
  assert [h.docno for h in other.search(query("apple"), k=8)["q"]] != ranking


def test_terms_cut_once_serve_many_settings():
  corpus = documents("a ripe apple", "apples and pears", "a pear")
  terms = analyse([document.contents for document in corpus], Bm25Config())
  config = Bm25Config(k1=2.0, b=0.1)
  docnos = [document.docno for document in corpus]
  found = BM25(config).fit_terms(terms, docnos=docnos)
  expected = BM25(config).fit(corpus)
  wanted = query("apple pear")
  assert found.search(wanted, k=3) == expected.search(wanted, k=3)


def test_same_scores_whatever_the_hash_seed():
  code = (
    "from genret.core.collection import Document, Query\n"
    "from genret.retrieval.bm25 import BM25\n"
    "texts = ['plum pear fig', 'fig apple', 'apple pear plum plum']\n"
    "docs = [Document(docno=t, title='', text=t) for t in texts]\n"
    "q = [Query(query_id='q', text='fig plum pear apple')]\n"
    "print(BM25().fit(docs).search(q, k=3))\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code],
    capture_output=True,
    text=True,
    check=True,
    env={**os.environ, "PYTHONHASHSEED": "1"},
  )
  here = io.StringIO()
  with contextlib.redirect_stdout(here):
    exec(code, {})  # under this process's own hash seed
  assert done.stdout == here.getvalue()


def test_nothing_is_printed(capfd):
  BM25().fit(documents("apple", "pear")).search(query("apple"), k=1)
  captured = capfd.readouterr()
  assert captured.out == captured.err == ""


@pytest.mark.parametrize(
  ("settings", "said"),
  [
    ({"method": "lucen"}, "Did you mean 'lucene'"),
    ({"method": "bm25+"}, "unknown BM25 method"),
    ({"k1": -1.0}, "k1 >= 0"),
    ({"b": 1.5}, "0 <= b <= 1"),
    ({"stemmer": "englisch"}, "Did you mean 'english'"),
    ({"stop_words": "klingon"}, "'klingon'"),
  ],
)
def test_wrong_settings_say_what_is_right(settings, said):
  with pytest.raises(ConfigError, match=said):
    BM25(Bm25Config(**settings)).fit(documents("apple"))


@pytest.mark.parametrize("texts", [[], [""], ["the and of"]])
def test_nothing_to_index(texts):
  with pytest.raises(UserError, match="has a term to index"):
    BM25().fit(documents(*texts))


def test_bm25s_says_nothing_to_handlers_of_others(caplog):
  caplog.set_level(logging.DEBUG)
  BM25(Bm25Config()).fit(documents("one fish", "two fish"))
  assert not caplog.records
