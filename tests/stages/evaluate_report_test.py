"""Tables of an evaluation."""

from genret.core.runs import Hit
from genret.evaluation.measures import evaluate
from genret.stages.evaluate_report import Report

RUN = {"q1": [Hit(docno="a", score=2.0), Hit(docno="b", score=1.0)]}
POOR = {"q1": [Hit(docno="b", score=2.0), Hit(docno="a", score=1.0)]}


def evaluations(qrels, relevance=1):
  return {
    name: evaluate(run, qrels, measures=["RR@10"], relevance=relevance)
    for name, run in (("good", RUN), ("poor", POOR))
  }


def test_each_judge_has_a_table():
  mine = {"q1": {"a": 1}, "q2": {"c": 1}}
  report = Report(
    split="test",
    evaluations=evaluations(mine),
    judged={"llm": evaluations({"q1": {"a": 1, "b": 3}}, relevance=2)},
  )
  assert report.table().splitlines() == [
    "        RR@10  unanswered",
    "* good  0.500           1",
    "  poor  0.250           1",
    "2 queries of split 'test', relevant from grade 1 on; * best RR@10",
    "",
    "        RR@10  unanswered",
    "  good  0.500           0",
    "* poor  1.000           0",
    "1 queries judged by llm, relevant from grade 2 on; * best RR@10",
  ]
  metrics = report.metrics()["poor"]
  assert metrics["RR@10"] == 0.25 and metrics["judges"]["llm"]["RR@10"] == 1.0
  assert metrics["judges"]["llm"]["relevance"] == 2


def test_without_judges_nothing_is_said_of_them():
  report = Report(split="test", evaluations=evaluations({"q1": {"a": 1}}))
  assert "judges" not in report.metrics()["good"]
  assert "judged" not in report.table()
