import json

import pytest

from genret.cli import main
from genret.cli.evaluate import named_runs


@pytest.fixture
def run_file(tmp_path):
  path = tmp_path / "mine.trec"
  path.write_text("q4 Q0 kite 1 2.0 t\nq5 Q0 owl 1 2.0 t\n")
  return path


def test_prints_and_writes_measures(collection, run_file, tmp_path, capsys):
  out = tmp_path / "results"
  given = [f"--collection={collection}", f"--out={out}", f"--runs={run_file}"]
  assert main.main(["evaluate", *given]) == 0
  metrics = json.loads((out / "metrics.json").read_text())
  assert metrics["mine"]["R@1"] == 0.5
  assert "0.500" in capsys.readouterr().out


def test_runs_can_be_named(collection, run_file, tmp_path):
  out = tmp_path / "results"
  runs = f"--runs=a={run_file},b={run_file}"
  given = [f"--collection={collection}", f"--out={out}", runs]
  assert main.main(["evaluate", *given, "--baseline=a"]) == 0
  assert list(json.loads((out / "metrics.json").read_text())) == ["a", "b"]


def test_a_judge_is_a_flag(collection, run_file, tmp_path, capsys):
  (tmp_path / "llm.qrels").write_text("q4 kite 1\nq5 owl 3\n")
  given = [f"--collection={collection}", f"--runs={run_file}"]
  given += [f"--judge=llm={tmp_path}/llm.qrels:2", f"--out={tmp_path}/out"]
  assert main.main(["evaluate", *given]) == 0
  metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
  assert metrics["mine"]["judges"]["llm"]["R@1"] == 0.5
  assert "2 queries judged by llm" in capsys.readouterr().out
  given[2] = f"--judge={tmp_path}/llm.qrels"
  assert main.main(["evaluate", *given]) == 2
  assert "expected FILE:GRADE" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["a=x,a=y", "a=", "x.trec,y/x.trec"])
def test_unclear_names_are_refused(text, capsys):
  with pytest.raises(ValueError):
    named_runs(text)
  assert main.main(["evaluate", f"--runs={text}"]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and "--runs" in error
