"""The study of docid schemes: its rows, commands and table."""

import argparse
import json
import sys
from pathlib import Path

import pytest

from genret.cli import gin_setup

ROOT = Path(__file__).parents[2]
SHIPPED = {path.stem for path in (ROOT / "gin_configs/docids").glob("*.gin")}


@pytest.fixture(scope="module", autouse=True)
def tools():
  """Scripts beside each other, importable as when one of them runs."""
  sys.path.insert(0, str(ROOT / "tools"))
  yield
  sys.path.remove(str(ROOT / "tools"))


@pytest.fixture(scope="module")
def study(tools):
  import docid_schemes

  return docid_schemes


@pytest.fixture(scope="module")
def given():
  return argparse.Namespace(steps=100, seed=3, core=0, keep_models=False)


def test_every_scheme_is_a_row_with_its_own_file(study):
  assert set(study.ROWS) == SHIPPED
  assert all(name == row.name for name, row in study.ROWS.items())


def test_commands_make_search_and_search_freely(study, given, tmp_path):
  row = study.ROWS["residual"]
  stages = dict(study.stages(row, tmp_path, given))
  assert list(stages) == ["docids", "train", "constrained", "free"]
  assert "--collisions=extra" in stages["docids"]
  assert f"--embeddings={tmp_path / 'embeddings'}" in stages["docids"]
  assert "--eval_period=25" in stages["train"]
  assert set(stages["free"]) - set(stages["constrained"]) == {
    "--constrained=False",
    f"--out={tmp_path / 'rows/residual/free'}.trec",
  }


@pytest.mark.parametrize("name", ["tldr", "tldr_atomic"])
def test_its_gin_files_are_whole(name):
  paths = [f"--gin.{macro}='x'" for macro in ("COLLECTION", "DOCIDS")]
  _, settings = gin_setup.split([*paths, "--gin.MODEL_DIR='m'"])
  from genret.stages import train

  loaded = gin_setup.load([f"studies/docids/{name}.gin"], settings)
  built = loaded.build(train.run)["config"]
  assert built.task_feature_lengths == {"inputs": 128, "targets": 48}
  assert built.model.emb_dim == (256 if name == "tldr_atomic" else 128)


def test_the_table_has_a_line_a_result(study, tmp_path):
  levels = [{"entropy": 2.5, "balance": 0.5}, {"entropy": 1.0, "balance": 1.0}]
  quality = {
    "depth": {"largest": 2},
    "vocab_size": 1234,
    "resolved": 12,
    "uniqueness": 1.0,
    "levels": levels,
    "similarity": [0.1, 0.5],
  }
  means = dict.fromkeys(("RR@10", "R@1", "R@10"), 0.25)
  row = {
    "quality": quality,
    "measures": {
      "constrained": {**means, "hits": 10.0},
      "free": {**means, "hits": 7.5},
    },
    "cpu_seconds": {"docids": 6.0, "train": 174.0},
  }
  folder = tmp_path / "rows" / "semantic_2d"
  folder.mkdir(parents=True)
  (folder / "row.json").write_text(json.dumps(row))
  head, rule, line = study.table.table(study.read(tmp_path)).splitlines()
  assert head.count("|") == rule.count("|") == line.count("|")
  assert line.startswith(
    "| semantic 2d | 2 | 1,234 | 12 | 1.000 | 2.5 1.0 | 0.50 1.00 | 0.10 0.50"
  )
  assert line.endswith("| 0.250 | 0.250 | 0.250 | 7.5 | 3.0 |")


def test_a_row_that_stands_is_not_made_again(study, given, tmp_path):
  row = study.ROWS["naive"]
  folder = tmp_path / "rows" / "naive"
  folder.mkdir(parents=True)
  settings = {"row": row.arguments, "steps": 100, "seed": 3}
  (folder / "row.json").write_text(json.dumps({"settings": settings}))
  study.run(None, tmp_path, row, given)
  given = argparse.Namespace(**{**vars(given), "steps": 50})
  with pytest.raises(study.FailedError, match="of other settings"):
    study.run(None, tmp_path, row, given)
