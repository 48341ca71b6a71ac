import random
import subprocess
import sys

import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import UserError
from genret.core.runs import Hit, read_trec, write_trec
from genret.evaluation.measures import (
  DEFAULT_MEASURES,
  evaluate,
  parse_measure,
)

DOCNOS = [f"d{i}" for i in range(14)]


def ranked(*docnos):
  return [Hit(docno=d, score=-float(i)) for i, d in enumerate(docnos)]


def test_hand_worked():
  # q1: relevant a and c, found at ranks 2 and 4; q2: relevant b, not found.
  run = {"q1": ranked("b", "a", "d", "c"), "q2": ranked("a", "c")}
  qrels = {"q1": {"a": 1, "b": 0, "c": 1}, "q2": {"b": 1}}
  result = evaluate(run, qrels)
  assert result.per_query["RR@10"] == {"q1": 0.5, "q2": 0.0}
  assert result.per_query["R@1"] == {"q1": 0.0, "q2": 0.0}
  assert result.per_query["R@5"] == {"q1": 1.0, "q2": 0.0}
  assert result.per_query["Success@1"] == {"q1": 0.0, "q2": 0.0}
  assert result.per_query["Success@10"] == {"q1": 1.0, "q2": 0.0}
  assert result.per_query["Judged@10"] == {"q1": 0.75, "q2": 0.0}
  # (1 / log2(3) + 1 / log2(5)) / (1 / log2(2) + 1 / log2(3))
  assert result.per_query["nDCG@10"]["q1"] == pytest.approx(0.650920929)
  assert result.means["RR@10"] == 0.25
  assert result.num_queries == 2
  assert result.num_unanswered == 0


def test_query_without_hits_scores_zero_and_is_counted():
  run = {"q1": ranked("a"), "q2": [], "q9": ranked("a")}
  qrels = {"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"a": 1}, "q4": {"a": 1}}
  result = evaluate(run, qrels)
  assert result.num_queries == 4
  assert result.num_unanswered == 3
  assert result.num_ignored == 1
  assert result.means["R@10"] == 0.25
  assert result.means["Judged@10"] == 0.25
  assert set(result.per_query["RR@10"]) == set(qrels)


def test_query_without_relevant_document_scores_zero_and_is_counted():
  run = {q: ranked("a", "b") for q in ("q1", "q2", "q3")}
  qrels = {"q1": {"a": 2}, "q2": {"a": 1}, "q3": {"a": 0, "b": -1}}
  result = evaluate(run, qrels, relevance=2)
  assert result.num_without_relevant == 2
  assert result.per_query["RR@10"] == {"q1": 1.0, "q2": 0.0, "q3": 0.0}
  assert result.means["R@1"] == pytest.approx(1 / 3)
  assert evaluate(run, qrels).num_without_relevant == 1


def test_an_empty_run_is_all_unanswered():
  result = evaluate({}, {"q1": {"a": 1}})
  assert result.num_unanswered == 1
  assert set(result.means.values()) == {0.0}


def test_threshold_applies_to_every_measure_that_has_one():
  assert str(parse_measure("RR@10", relevance=2)) == "RR(rel=2)@10"
  assert str(parse_measure("Success@1", relevance=3)) == "Success(rel=3)@1"
  assert str(parse_measure("R(rel=3)@5", relevance=2)) == "R(rel=3)@5"
  assert str(parse_measure("nDCG@10", relevance=2)) == "nDCG@10"
  run = {"q": ranked("a", "b")}
  qrels = {"q": {"a": 1, "b": 2}}
  result = evaluate(run, qrels, relevance=2)
  assert result.means["RR@10"] == 0.5
  assert result.relevance == 2
  # The gains of nDCG are the grades: (1 + 2 / log2(3)) / (2 + 1 / log2(3)).
  assert result.means["nDCG@10"] == pytest.approx(0.859718532)


def test_other_measures_of_ir_measures_work():
  run = {"q1": ranked("a", "b", "c"), "q2": ranked("a")}
  qrels = {"q1": {"b": 1}, "q2": {"a": 1}}
  result = evaluate(run, qrels, measures=["AP", "MRR@10", "NumRet", "P@1"])
  assert result.means == {"AP": 0.75, "MRR@10": 0.75, "NumRet": 4.0, "P@1": 0.5}


@pytest.mark.parametrize(
  ("name", "said"),
  [
    ("RRR@10", "Did you mean"),
    ("ndcg@10", "Did you mean 'NDCG'"),
    ("recall@10", "Did you mean 'Recall'"),
    ("zzz", "Known: "),
    ("R", "write it like"),
    ("RR@ten", "unknown|write it like"),
    ("RR@0", "from 1 on"),
    ("RR(rel=x)@10", "write it like"),
    ("nDCG(rel=2)@10", "nDCG takes cutoff"),
    ("", "unknown measure"),
  ],
)
def test_unknown_measures_say_what_to_write(name, said):
  with pytest.raises(UserError, match=said):
    evaluate({}, {"q": {"a": 1}}, measures=[name])


def test_runs_that_cannot_be_right_are_refused():
  qrels = {"q1": {"a": 1}}
  with pytest.raises(UserError, match="another collection or split"):
    evaluate({"x1": ranked("a")}, qrels)
  with pytest.raises(UserError, match="'a' is ranked twice"):
    evaluate({"q1": ranked("a", "b", "a")}, qrels)
  with pytest.raises(UserError, match="best first, but 'b'"):
    hits = [Hit(docno="a", score=1.0), Hit(docno="b", score=2.0)]
    evaluate({"q1": hits}, qrels)
  with pytest.raises(UserError, match="best first"):
    hits = [Hit(docno="a", score=1.0), Hit(docno="b", score=float("nan"))]
    evaluate({"q1": hits}, qrels)
  with pytest.raises(UserError, match="empty qrels"):
    evaluate({}, {})


runs_and_qrels = st.tuples(
  st.dictionaries(
    st.sampled_from(["q1", "q2", "q3", "q5"]),
    st.permutations(DOCNOS).flatmap(
      lambda docnos: st.integers(0, len(docnos)).map(lambda n: docnos[:n])
    ),
  ),
  st.fixed_dictionaries(
    {
      query: st.dictionaries(
        st.sampled_from(DOCNOS), st.integers(0, 3), min_size=1
      )
      for query in ("q1", "q2", "q3", "q4")
    }
  ),
  st.integers(1, 3),
)


@given(runs_and_qrels)
@settings(deadline=None)
def test_equals_trec_eval(drawn):
  rankings, qrels, relevance = drawn
  rankings = rankings | {"q1": rankings.get("q1", ["d0"])}
  run = {query: ranked(*docnos) for query, docnos in rankings.items()}
  found = evaluate(run, qrels, relevance=relevance)
  names = {
    "R@1": "recall_1",
    "R@5": "recall_5",
    "R@10": "recall_10",
    "R@100": "recall_100",
    "Success@1": "success_1",
    "Success@10": "success_10",
    "nDCG@10": "ndcg_cut_10",
  }
  oracle = pytrec_eval.RelevanceEvaluator(
    qrels, set(names.values()), relevance_level=relevance
  )
  reciprocal = pytrec_eval.RelevanceEvaluator(
    qrels, {"recip_rank"}, relevance_level=relevance
  )
  whole = {
    query: {hit.docno: hit.score for hit in hits} for query, hits in run.items()
  }
  first_ten = {query: dict(list(s.items())[:10]) for query, s in whole.items()}
  expected = oracle.evaluate(whole)
  reciprocals = reciprocal.evaluate(first_ten)
  for query in qrels:
    for name, theirs in names.items():
      value = expected.get(query, {}).get(theirs, 0.0)
      assert found.per_query[name][query] == pytest.approx(value)
    value = reciprocals.get(query, {}).get("recip_rank", 0.0)
    assert found.per_query["RR@10"][query] == pytest.approx(value)
    hits = list(whole.get(query, ()))[:10]
    judged = sum(docno in qrels[query] for docno in hits) / max(1, len(hits))
    assert found.per_query["Judged@10"][query] == pytest.approx(judged)
  for name in DEFAULT_MEASURES:
    values = found.per_query[name].values()
    assert found.means[name] == pytest.approx(sum(values) / len(qrels))


@given(runs_and_qrels, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_no_measure_moves_when_docnos_are_permuted(
  tmp_path_factory, drawn, rng
):
  rankings, qrels, relevance = drawn
  rankings = rankings | {"q1": rankings.get("q1", ["d0"])}
  scores = [5.0, 5.0, 4.0, 4.0, 4.0, 1.0]  # ties, at the end too
  run = {
    query: [
      Hit(docno=docno, score=scores[min(i, 5)])
      for i, docno in enumerate(docnos)
    ]
    for query, docnos in rankings.items()
  }
  new_names = dict(zip(DOCNOS, rng.sample(DOCNOS, len(DOCNOS)), strict=True))
  renamed_run = {
    query: [Hit(docno=new_names[h.docno], score=h.score) for h in hits]
    for query, hits in run.items()
  }
  renamed_qrels = {
    query: {new_names[docno]: grade for docno, grade in grades.items()}
    for query, grades in qrels.items()
  }
  folder = tmp_path_factory.mktemp("run")
  before = evaluate(run, qrels, relevance=relevance)
  for name, each, judged in (
    ("run", run, qrels),
    ("renamed", renamed_run, renamed_qrels),
  ):
    write_trec(folder / f"{name}.trec", each, tag=name)
    for now in (each, read_trec(folder / f"{name}.trec")):
      after = evaluate(now, judged, relevance=relevance)
      assert after.means == before.means
      assert after.per_query == before.per_query


def test_equals_trec_eval_on_the_written_file(tmp_path):
  # What is written leaves trec_eval no tie to break by docno.
  rng = random.Random(0)
  qrels = {f"q{i}": {rng.choice(DOCNOS): 1} for i in range(20)}
  run = {
    query: [Hit(docno=d, score=0.5) for d in rng.sample(DOCNOS, 12)]
    for query in qrels
  }
  write_trec(tmp_path / "run.trec", run, tag="tied")
  scores = {
    query: {hit.docno: hit.score for hit in hits}
    for query, hits in read_trec(tmp_path / "run.trec").items()
  }
  theirs = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"})
  values = [v["recip_rank"] for v in theirs.evaluate(scores).values()]
  ours = evaluate(run, qrels, measures=["RR@100"]).means["RR@100"]
  assert ours == pytest.approx(sum(values) / len(values))


def test_evaluating_loads_neither_jax_nor_tensorflow():
  code = (
    "import sys\n"
    "from genret.core.runs import Hit\n"
    "from genret.evaluation import measures, selection, significance\n"
    "run = {'q': [Hit(docno='a', score=1.0)]}\n"
    "measures.evaluate(run, {'q': {'a': 1}})\n"
    "significance.bootstrap_interval([0.0, 1.0])\n"
    "print([m for m in ('jax', 'tensorflow', 'torch') if m in sys.modules])\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert done.stdout.strip() == "[]"
