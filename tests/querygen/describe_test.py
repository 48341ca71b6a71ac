import pytest

from genret.core.collection import Document
from genret.core.text import normalise_query
from genret.corpora import embedded
from genret.querygen.describe import COPIED_BINS, Spread, describe
from genret.querygen.overlap import Overlap
from genret.querygen.words import words
from genret.tasks.synthetic import SyntheticQuery

TOWER = Document(
  docno="d1", title="The tower", text="It was built in 1889, for a fair."
)
BRIDGE = Document(docno="d2", title="", text="The bridge crosses the river.")


def query(docno, text, **fields):
  return SyntheticQuery(docno=docno, text=text, **fields)


GROUPS = [
  (
    TOWER,
    [
      query("d1", "It was built in 1889", log_probability=-1.0, grade=2),
      query("d1", "it was built  in 1889?", generator="t5", grade=0),
      query("d1", "it was built  in 1889?", generator="t5", grade=0),
      query("d1", "When was the tower built?", log_probability=-2.0),
    ],
  ),
  (BRIDGE, [query("d2", "when was the tower  built?"), query("d2", "?!")]),
]


def test_everything_is_counted():
  asked = {"test": Overlap(questions=7, generated=2)}
  found = describe(GROUPS, num_documents=5, overlap=asked)
  assert (found.documents, found.with_queries, found.queries) == (5, 2, 6)
  assert (found.distinct, found.shared) == (4, 1)
  assert (found.same, found.near, found.verbatim) == (1, 1, 3)
  assert found.overlap == asked
  assert found.log_probability == -1.5
  assert found.generators == {"": 4, "t5": 2}
  assert found.grades == {0: 2, 2: 1}
  assert found.words_histogram == {0: 1, 5: 5}
  assert found.a_document_histogram == {0: 3, 2: 1, 4: 1}
  # Of five words: all, all, all, "the tower", "the"; of none: none.
  assert found.copied.mean == pytest.approx((1 + 1 + 1 + 0.4 + 0.2 + 0) / 6)
  expected = [0] * COPIED_BINS
  expected[0], expected[3], expected[7], expected[-1] = 1, 1, 1, 3
  assert found.copied_histogram == expected


def test_spread_is_of_the_sorted_numbers():
  numbers = list(range(1, 101))
  found = Spread.of(dict.fromkeys(numbers, 1))
  assert (found.low, found.median, found.high) == (5, 50, 95)
  assert found.mean == 50.5
  assert Spread.of({7: 3}) == Spread(mean=7, low=7, median=7, high=7)


def test_copies_of_real_questions_are_those_that_search_finds():
  """Compares with looking every n-gram up in the text as a string."""
  squad = embedded.squad()
  texts = {q.query_id: q.text for q in squad.queries()}
  asked = {}
  for judgement in squad.qrels["train"]():
    asked.setdefault(judgement.docno, []).append(texts[judgement.query_id])
  documents = [d for d in squad.documents() if d.docno in asked][::40]
  groups = [(d, [query(d.docno, t) for t in asked[d.docno]]) for d in documents]
  shares = []
  for document, queries in groups:
    text = f" {' '.join(words(document.contents))} "
    for item in queries:
      found = words(item.text)
      grams = (
        found[i:j]
        for i in range(len(found))
        for j in range(i + 1, len(found) + 1)
      )
      inside = (len(g) for g in grams if f" {' '.join(g)} " in text)
      shares.append(max(inside, default=0) / len(found))
  found = describe(groups, num_documents=len(documents))
  assert found.queries == len(shares) > 100
  assert found.copied.mean == pytest.approx(sum(shares) / len(shares))
  assert found.verbatim == shares.count(1.0)
  keys = {normalise_query(q.text) for _, queries in groups for q in queries}
  assert found.distinct == len(keys)
