"""Recall by docid prefix, by hand and against recall of documents."""

import numpy as np
import pytest

from genret.core.docid_table import DocidTable
from genret.core.errors import UserError
from genret.core.runs import Hit
from genret.evaluation import measures
from genret.evaluation.prefixes import prefix_recall


def table(codes):
  codes = np.array(codes)
  docnos = [chr(ord("a") + i) for i in range(len(codes))]
  return DocidTable(codes=codes, docnos=docnos, vocab_size=9, scheme="toy")


def hits(docnos):
  return [Hit(docno=d, score=-float(i)) for i, d in enumerate(docnos)]


def test_by_hand():
  docids = table([[2, 2, 2], [2, 2, 3], [2, 3, 2], [3, 2, 2]])
  run = {"q1": hits("bd"), "q2": hits("c")}
  qrels = {"q1": {"a": 1, "d": 1}, "q2": {"d": 1, "b": 0}, "q3": {"a": 1}}
  # q1: d is found whole, a up to two symbols; q2 and q3: nothing.
  assert prefix_recall(run, qrels, docids) == pytest.approx(
    [2 / 6, 2 / 6, 1 / 6]
  )
  # The first docid alone: b, which begins as a does.
  assert prefix_recall(run, qrels, docids, k=1) == pytest.approx(
    [1 / 6, 1 / 6, 0]
  )


def test_documents_that_share_a_docid_count_together():
  docids = table([[2, 2], [2, 2], [3, 2]])
  # Two documents, one docid: c is the second docid of the run.
  assert prefix_recall({"q": hits("abc")}, {"q": {"c": 1}}, docids, k=2) == [
    1.0,
    1.0,
  ]
  assert prefix_recall({"q": hits("a")}, {"q": {"b": 1}}, docids) == [1.0, 1.0]


def test_a_shorter_docid_counts_whole():
  docids = table([[2, 1, 0], [3, 2, 1]])
  assert prefix_recall({"q": hits("a")}, {"q": {"a": 1}}, docids) == [1.0] * 3
  assert prefix_recall({"q": hits("a")}, {"q": {"b": 1}}, docids) == [0.0] * 3


def test_whole_docids_are_recall_of_documents_where_none_collide():
  random = np.random.default_rng(0)
  numbers = random.permutation(7**3)[:20]
  docids = table(np.stack(np.unravel_index(numbers, (7, 7, 7)), 1) + 2)
  names = np.array(docids.docnos)
  run = {f"q{i}": hits(random.permutation(names)[:12]) for i in range(9)}
  qrels = {f"q{i}": {d: 1 for d in names[i : i + 3]} for i in range(9)}
  found = prefix_recall(run, qrels, docids, k=5)
  whole = measures.evaluate(run, qrels, measures=["R@5"]).means["R@5"]
  assert found[-1] == pytest.approx(whole)
  assert found == sorted(found, reverse=True)


def test_relevance_is_a_threshold():
  docids = table([[2], [3]])
  run = {"q": hits("a")}
  qrels = {"q": {"a": 1, "b": 2}}
  assert prefix_recall(run, qrels, docids) == [0.5]
  assert prefix_recall(run, qrels, docids, relevance=2) == [0.0]
  with pytest.raises(UserError, match="no query has a relevant"):
    prefix_recall(run, qrels, docids, relevance=3)
  with pytest.raises(UserError, match="from 1 on"):
    prefix_recall(run, qrels, docids, k=0)
  with pytest.raises(UserError, match="docno 'z'"):
    prefix_recall({"q": hits("z")}, qrels, docids)
