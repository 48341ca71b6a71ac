import itertools
import math
from collections import Counter

import numpy as np
import pytest

from genret.core.collection import Document
from genret.core.docnos import Docnos
from genret.core.errors import ConfigError
from genret.core.runs import Hit
from genret.corpora import embedded
from genret.querygen import filter as round_trip
from genret.querygen.filter import Rule, judge
from genret.retrieval.bm25 import BM25, Bm25Config, analyse
from genret.tasks.synthetic import SyntheticQuery


@pytest.fixture(scope="module")
def squad():
  """Real passages, two of them twice, and real questions as queries."""
  source = embedded.squad()
  documents = list(itertools.islice(source.documents(), 0, None, 16))
  for i in (3, 60):
    twin = documents[i]
    documents.append(
      Document(
        docno=f"twin of {twin.docno}",
        title=twin.title.upper(),
        text=twin.text + " ",
      )
    )
  docnos = {document.docno for document in documents}
  texts = {query.query_id: query.text for query in source.queries()}
  queries = [
    SyntheticQuery(docno=j.docno, text=texts[j.query_id])
    for j in source.qrels["train"]()
    if j.docno in docnos
  ]
  # Some ask for another document than the question was written for.
  wrong = [
    SyntheticQuery(docno=a.docno, text=b.text)
    for a, b in zip(queries[::7], queries[5::7], strict=False)
  ]
  return documents, [*queries, *wrong]


def scores_by_formula(documents, queries):
  """BM25 of every document for every query, term by term (Lucene's idf)."""
  config = Bm25Config()
  terms = analyse([d.contents for d in documents], config)
  counts = [Counter(found) for found in terms]
  lengths = np.array([len(found) for found in terms])
  norm = config.k1 * (1 - config.b + config.b * lengths / lengths.mean())
  number = len(documents)
  out = np.zeros((len(queries), number))
  for i, found in enumerate(analyse([q.text for q in queries], config)):
    for term in found:
      tf = np.array([count[term] for count in counts])
      df = (tf > 0).sum()
      out[i] += (
        math.log(1 + (number - df + 0.5) / (df + 0.5)) * tf / (tf + norm)
      )
  return out


def test_ranks_are_those_of_scoring_everything(squad):
  documents, queries = squad
  searcher = BM25().fit(documents)
  found = round_trip.ranks(
    queries,
    search=lambda asked, k: searcher.search(asked, k=k),
    depth=20,
    docnos=Docnos.from_strings([d.docno for d in documents]),
    text_numbers=round_trip.text_numbers(documents),
  )
  texts = [" ".join(d.contents.lower().split()) for d in documents]
  text_of = {d.docno: t for d, t in zip(documents, texts, strict=True)}
  scores = scores_by_formula(documents, queries)
  for query, rank, row in zip(queries, found.tolist(), scores, strict=True):
    same = [text == text_of[query.docno] for text in texts]
    own = row[same].max()
    above, level = (row > own + 1e-4).sum(), (row > own - 1e-4).sum()
    if rank:
      assert above < rank <= max(level, above + 1)
    else:  # so far down, or no term in common
      assert level > 20 or own == 0
  assert (found == 1).mean() > 0.5 and (found == 0).any() and (found > 1).any()


def test_a_document_of_the_same_text_is_the_document(squad):
  documents, queries = squad
  twin = documents[-1].docno
  asked = [
    SyntheticQuery(docno=docno, text=query.text)
    for query in queries
    if twin == f"twin of {query.docno}"
    for docno in (query.docno, twin)
  ]
  assert len(asked) > 4
  searcher = BM25().fit(documents)
  ranks = round_trip.ranks(
    asked,
    search=lambda found, k: searcher.search(found, k=k),
    depth=1,
    docnos=Docnos.from_strings([d.docno for d in documents]),
    text_numbers=round_trip.text_numbers(documents),
  )
  assert (ranks[::2] == ranks[1::2]).all() and ranks.any()


def test_numbers_of_texts():
  texts = ["A  house", "a house ", "A house.", "", "a house"]
  documents = [Document(docno=t, title="", text=t) for t in texts]
  numbers = round_trip.text_numbers(documents)
  assert [numbers[0] == n for n in numbers] == [True, True, False, False, True]
  titled = Document(docno="x", title="A", text="house")
  assert len(set(round_trip.text_numbers([documents[0], titled]))) == 1


def test_equal_queries_are_searched_once_and_may_find_nothing():
  asked = []

  def search(queries, k):
    asked.extend(query.text for query in queries)
    return {
      query.query_id: [Hit(docno="b", score=2.0), Hit(docno="a", score=1.0)][:k]
      for query in queries
      if query.text != "lost"
    }

  queries = [
    SyntheticQuery(docno=docno, text=text)
    for docno, text in [("a", "x"), ("b", "x"), ("a", "lost"), ("a", "y")]
  ]
  given = {
    "search": search,
    "docnos": Docnos.from_strings(["a", "b"]),
    "text_numbers": np.array([0, 1]),
  }
  ranks = round_trip.ranks(queries, depth=2, **given)
  assert ranks.tolist() == [2, 1, 0, 2]
  assert asked == ["x", "lost", "y"]
  assert round_trip.ranks(queries, depth=1, **given).tolist() == [0, 1, 0, 0]


def group(*texts, log_probabilities=None):
  values = log_probabilities or [None] * len(texts)
  return [
    SyntheticQuery(docno="d", text=text, log_probability=value)
    for text, value in zip(texts, values, strict=True)
  ]


def test_what_is_found_stays_and_the_first_of_what_repeats():
  queries = group("a b c d e", "a b c d f", "A b c d e", "a b c d e f", "x")
  ranks = np.array([0, 1, 2, 1, 1])
  expected = ["missed", "kept", "kept", "near", "kept"]
  assert judge(queries, ranks, Rule(k=2)) == expected
  expected = ["missed", "kept", "missed", "kept", "kept"]
  assert judge(queries, ranks, Rule(k=1, near_duplicates=None)) == expected
  # The first of those that are found: a better one may come after it.
  expected = ["kept", "kept", "same", "near", "kept"]
  assert judge(queries, ranks, Rule(k=None)) == expected


def test_a_document_may_keep_its_best():
  rule = Rule(k=1, keep_best=True)
  queries = group("a", "b", "c", "d", log_probabilities=[-3, -1, -1, None])
  best = judge(queries, np.array([0, 0, 0, 0]), rule)
  assert best == ["missed", "best", "missed", "missed"]
  best = judge(queries, np.array([4, 0, 9, 4]), rule)
  assert best == ["best", "missed", "missed", "missed"]
  best = judge(queries, np.array([0, 0, 0, 9]), rule)
  assert best == ["missed", "missed", "missed", "best"]
  assert "best" not in judge(queries, np.array([0, 1, 0, 0]), rule)
  assert judge([], np.zeros(0, np.int32), rule) == []


def test_a_rule_says_what_it_cannot_be():
  with pytest.raises(ConfigError, match="from 1 on; 0 came"):
    Rule(k=0)
  with pytest.raises(ConfigError, match="over 0"):
    Rule(near_duplicates=2.0)
