import json

import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.core.errors import (
  ArtifactError,
  ConfigError,
  DataError,
  UserError,
)
from genret.core.runs import Hit, write_trec
from genret.stages import evaluate
from genret.stages.evaluate import EvaluateConfig

QUERIES = [f"q{i}" for i in range(12)]


@pytest.fixture
def judged(tmp_path):
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "toy"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(tmp_path / "toy", recipe) as folder:
    collection.write(
      folder,
      documents=[
        Document(docno=f"d{i}", title="", text=f"text {i}") for i in range(13)
      ],
      queries=[Query(query_id=q, text=q) for q in [*QUERIES, "train1"]],
      qrels={
        "test": {q: {f"d{i}": 1} for i, q in enumerate(QUERIES)},
        "train": {"train1": {"d0": 1}},
      },
    )
  return Collection.open(tmp_path / "toy")


def write(path, rankings):
  run = {
    q: [Hit(docno=d, score=-float(i)) for i, d in enumerate(docnos)]
    for q, docnos in rankings.items()
  }
  write_trec(path, run, tag=path.stem)
  return path


@pytest.fixture
def run_files(tmp_path):
  good = {q: [f"d{i}", "d12"] for i, q in enumerate(QUERIES)}
  poor = {q: ["d12", f"d{i}"] for i, q in enumerate(QUERIES[:8])}
  return {
    "poor": write(tmp_path / "poor.trec", poor),
    "good": write(tmp_path / "good.trec", good),
  }


def test_metrics_and_table(judged, run_files, tmp_path):
  report = evaluate.run(
    EvaluateConfig(), judged, run_files, out=tmp_path / "out"
  )
  metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
  assert metrics == report.metrics()
  assert metrics["good"]["RR@10"] == 1.0
  assert metrics["poor"]["RR@10"] == pytest.approx(8 * 0.5 / 12)
  assert metrics["poor"]["R@100"] == pytest.approx(8 / 12)
  assert metrics["poor"]["num_unanswered"] == 4
  assert metrics["poor"]["num_queries"] == 12
  assert metrics["poor"]["num_without_relevant"] == 0
  assert metrics["poor"]["relevance"] == 1
  assert metrics["poor"]["split"] == "test"
  lines = (tmp_path / "out" / "table.txt").read_text().splitlines()
  assert lines[0].split() == [*EvaluateConfig().measures, "unanswered"]
  assert lines[1].startswith("  poor") and lines[1].endswith(" 4")
  assert lines[2].startswith("* good") and " 1.000 " in lines[2]
  assert lines[3].startswith(
    "12 queries of split 'test', relevant from grade 1"
  )
  assert lines[4].startswith("95% intervals of RR@10 over 12 articles: poor [")
  low, high = metrics["poor"]["intervals"]["RR@10"]
  assert 0.1 < low < 8 * 0.5 / 12 < high < 0.5
  assert metrics["good"]["intervals"]["R@1"] == [1.0, 1.0]
  assert not (tmp_path / "out" / "per_query.tsv").exists()
  artifacts.verify(tmp_path / "out")


def test_comparison_with_a_baseline(judged, run_files, tmp_path):
  config = EvaluateConfig(baseline="good", compare_on=("RR@10", "R@1"))
  report = evaluate.run(config, judged, run_files, out=tmp_path / "out")
  found = json.loads((tmp_path / "out" / "comparisons.json").read_text())
  assert [(c["system"], c["measure"]) for c in found] == [
    ("poor", "RR@10"),
    ("poor", "R@1"),
  ]
  assert found[1]["difference"]["mean"] == -1.0
  assert found[1]["p_value"] == 2 / 2**12
  assert found[1]["p_corrected"] == 2 * found[1]["p_value"]
  assert "against good: paired sign-flip test" in report.table()
  assert "-1.000" in report.table() and "0.0010" in report.table()
  assert "over 12 articles" in report.table()
  assert 0 < found[0]["detectable"] < 1 and found[0]["equivalence_p"] > 0.9


def test_queries_of_one_article_are_one_in_comparisons(tmp_path):
  recipe = artifacts.Recipe(
    stage="prepare", arguments={}, format_version=collection.FORMAT_VERSION
  )
  with artifacts.building(tmp_path / "toy", recipe) as folder:
    collection.write(
      folder,
      documents=[
        Document(docno=f"d{i}", title=f"t{i // 6}", text="") for i in range(12)
      ],
      queries=[Query(query_id=q, text=q) for q in QUERIES],
      qrels={"test": {q: {f"d{i}": 1} for i, q in enumerate(QUERIES)}},
    )
  runs = {
    "none": write(tmp_path / "none.trec", {"q0": ["d5"]}),
    "all": write(
      tmp_path / "all.trec", {q: [f"d{i}"] for i, q in enumerate(QUERIES)}
    ),
  }
  report = evaluate.evaluate_runs(
    EvaluateConfig(baseline="none"), Collection.open(tmp_path / "toy"), runs
  )
  assert report.articles == 2
  assert report.comparisons[0].p_value == 0.5


def test_measures_that_count_have_no_interval(judged, run_files):
  config = EvaluateConfig(measures=("RR@10", "NumRet"))
  report = evaluate.evaluate_runs(config, judged, run_files)
  assert list(report.intervals["good"]) == ["RR@10"]


def test_judgements_of_others_have_a_threshold(judged, run_files, tmp_path):
  path = tmp_path / "llm.qrels"
  path.write_text("q0 0 d12 2\nq0 0 d0 1\nq1 0 d1 2\ntrain1 0 d0 2\n")
  out = tmp_path / "out"
  given = {"judges": {"llm": f"{path}:2"}, "out": out}
  report = evaluate.run(EvaluateConfig(), judged, run_files, **given)
  found = json.loads((out / "metrics.json").read_text())
  assert found == report.metrics()
  # Of q0 the other document is relevant, of q1 the same; others are not judged.
  assert found["good"]["judges"]["llm"]["RR@10"] == 0.75
  assert found["poor"]["judges"]["llm"]["RR@10"] == 0.75
  assert found["good"]["judges"]["llm"]["num_queries"] == 2
  assert found["good"]["RR@10"] == 1.0
  assert "2 queries judged by llm, relevant from grade 2" in report.table()
  manifest = (out / "manifest.json").read_text()
  assert "judge llm" in manifest and str(tmp_path) not in manifest
  with pytest.raises(ArtifactError, match="judges"):
    given["judges"] = {"llm": f"{path}:1"}
    evaluate.run(EvaluateConfig(), judged, run_files, **given)


@pytest.mark.parametrize(
  ("text", "judge", "message"),
  [
    ("q0 0 x9 2\n", "llm.qrels:2", "'x9', judged for query 'q0', is not in"),
    ("z 0 d0 2\n", "llm.qrels:2", "none of the 1 queries judged in it"),
    ("q0 d0\n", "llm.qrels:2", "llm.qrels:1: 2 columns"),
    ("q0 0 d0 2\n", "other.qrels:2", "no file .*other.qrels of judge 'llm'"),
    ("q0 0 d0 2\n", "llm.qrels", "expected FILE:GRADE"),
  ],
)
def test_judgements_that_cannot_be(
  judged, run_files, tmp_path, text, judge, message
):
  (tmp_path / "llm.qrels").write_text(text)
  given = {"judges": {"llm": f"{tmp_path}/{judge}"}, "out": tmp_path / "out"}
  with pytest.raises(UserError, match=message):
    evaluate.run(EvaluateConfig(), judged, run_files, **given)
  assert not (tmp_path / "out").exists()


def test_values_by_query(judged, run_files, tmp_path):
  config = EvaluateConfig(measures=("RR@10", "R@1"), per_query=True)
  evaluate.run(config, judged, run_files, out=tmp_path / "out")
  lines = (tmp_path / "out" / "per_query.tsv").read_text().splitlines()
  assert lines[0] == "system\tquery-id\tRR@10\tR@1"
  assert len(lines) == 1 + 2 * 12
  assert "poor\tq0\t0.5\t0" in lines
  assert "poor\tq11\t0\t0" in lines
  assert "good\tq11\t1\t1" in lines


def test_a_second_time_gives_the_same(judged, run_files, tmp_path):
  first = evaluate.run(
    EvaluateConfig(), judged, run_files, out=tmp_path / "out"
  )
  identity = artifacts.identity(tmp_path / "out")
  second = evaluate.run(
    EvaluateConfig(), judged, run_files, out=tmp_path / "out"
  )
  assert first == second
  assert artifacts.identity(tmp_path / "out") == identity
  write(run_files["good"], {"q0": ["d0"]})
  with pytest.raises(ArtifactError, match="run good"):
    evaluate.run(EvaluateConfig(), judged, run_files, out=tmp_path / "out")


@pytest.mark.parametrize(
  ("rankings", "said"),
  [
    ({"q0": ["d0"], "x7": ["d0"]}, "query 'x7' is not in collection 'toy'"),
    ({"q0": ["d0", "x9"]}, "document 'x9' is not in collection 'toy'"),
  ],
)
def test_a_run_of_another_collection(
  judged, run_files, tmp_path, rankings, said
):
  run_files["stray"] = write(tmp_path / "stray.trec", rankings)
  with pytest.raises(DataError, match=said) as error:
    evaluate.run(EvaluateConfig(), judged, run_files, out=tmp_path / "out")
  assert error.value.path == tmp_path / "stray.trec"
  assert not (tmp_path / "out").exists()


def test_a_run_of_another_split(judged, tmp_path):
  stray = {"stray": write(tmp_path / "stray.trec", {"train1": ["d0"]})}
  with pytest.raises(UserError, match="another collection or split"):
    evaluate.run(EvaluateConfig(), judged, stray, out=tmp_path / "out")


def test_what_cannot_be_evaluated(judged, run_files, tmp_path):
  out = tmp_path / "out"
  with pytest.raises(UserError, match="no runs"):
    evaluate.run(EvaluateConfig(), judged, {}, out=out)
  with pytest.raises(UserError, match="Did you mean 'good'"):
    config = EvaluateConfig(baseline="goood")
    evaluate.run(config, judged, run_files, out=out)
  with pytest.raises(UserError, match="no split 'tst'"):
    evaluate.run(EvaluateConfig(split="tst"), judged, run_files, out=out)
  with pytest.raises(UserError, match="no run file"):
    missing = {"a": tmp_path / "a.trec"}
    evaluate.run(EvaluateConfig(), judged, missing, out=out)
  with pytest.raises(ConfigError, match="compared on AP"):
    EvaluateConfig(baseline="good", compare_on=("AP",))
  with pytest.raises(ConfigError, match="seed is at least 0; -1 came"):
    EvaluateConfig(seed=-1)
  with pytest.raises(ConfigError, match="names no measure"):
    EvaluateConfig(measures=())
  assert not out.exists()
