import numpy as np

from genret.core.collection import Document
from genret.querygen import tables
from genret.querygen.describe import describe
from genret.querygen.filter import Rule, judge
from genret.querygen.overlap import Overlap
from genret.querygen.rates import RateCounts
from genret.tasks.synthetic import SyntheticQuery

DOCUMENT = Document(docno="d", title="", text="Paxton built the glass house.")
QUERIES = [
  SyntheticQuery(docno="d", text=text, generator=generator)
  for text, generator in [
    ("who built the glass house", "t5"),
    ("Who built the glass  house", "t5"),
    ("glass house", "copy"),
    ("Paxton", "copy"),
  ]
]


def test_described_sets_have_a_column_each():
  asked = {"test": Overlap(questions=5, generated=1)}
  first = describe([(DOCUMENT, QUERIES)], num_documents=2, overlap=asked)
  second = describe([(DOCUMENT, QUERIES[:1])], num_documents=2)
  shown = tables.described({"all": first, "one": second}).splitlines()
  cells = {
    row[0]: row[1:]
    for line in shown
    if (row := [cell.strip() for cell in line.strip("|").split("|")])
  }
  assert cells[""] == ["all", "one"]
  assert cells["documents with a query"] == ["1 (50.0%)", "1 (50.0%)"]
  assert cells["repeat one of the document"] == ["1 (25.0%)", "0 (0.0%)"]
  assert cells["copied whole from the document"] == ["2 (50.0%)", "0 (0.0%)"]
  assert cells["words"] == ["3.2 (1.0–5.0)", "5.0 (5.0–5.0)"]
  assert cells["also a test query"] == ["1 (25.0%)", "–"]
  assert cells["also a test query of its document"] == ["0 (0.0%)", "–"]
  assert "log-probability, mean" not in cells
  assert len(set(map(len, shown))) == 1


def test_what_a_filter_kept():
  rule = Rule(k=1, keep_best=True)
  counts = RateCounts(rule, depth=3)
  ranks = np.array([1, 1, 2, 0])
  counts.add(QUERIES, ranks, judge(QUERIES, ranks, rule))
  shown = tables.kept(counts.rates(num_documents=2))
  assert (
    shown
    == """\
|                                         |           |          of |
|:----------------------------------------|----------:|------------:|
| find their document within 1            | 2 (50.0%) |   4 queries |
| find their document within 3            | 3 (75.0%) |   4 queries |
| the share within 1, mean over documents |     50.0% | 1 documents |
| the share within 1, generator copy      |      0.0% |             |
| the share within 1, generator t5        |    100.0% |             |
| go: repeat one of the document          | 1 (25.0%) |   4 queries |
| go: nearly repeat one                   |  0 (0.0%) |   4 queries |
| stay as the best of their document      |  0 (0.0%) |   4 queries |
| stay                                    | 1 (25.0%) |   4 queries |
| had a query and have none now           |  0 (0.0%) | 1 documents |"""
  )


def test_without_a_search_there_are_no_rates():
  rule = Rule(k=None)
  counts = RateCounts(rule, depth=0)
  ranks = np.zeros(4, np.int32)
  counts.add(QUERIES, ranks, judge(QUERIES, ranks, rule))
  shown = tables.kept(counts.rates(num_documents=2))
  assert "within" not in shown and "| stay " in shown
