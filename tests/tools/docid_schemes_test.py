"""The study of docid schemes: its rows, commands and table."""

import argparse
import json
import sys
from pathlib import Path

import pytest

from genret.cli import gin_setup
from genret.core import artifacts, collection, runs
from genret.studies.commands import Commands

ROOT = Path(__file__).parents[2]
SHIPPED = {path.stem for path in (ROOT / "gin_configs/docids").glob("*.gin")}
NO_SCHEME = {"imported"}  # reads a table that some other system made


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
  assert set(study.ROWS) == SHIPPED - NO_SCHEME
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
  means["interval"] = [0.2, 0.3125]
  row = {
    "quality": quality,
    "memorised": {"Hits@1": 0.9, "pairs": 2000},
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
  assert "| 0.900 under-trained | 0.250 [0.200, 0.312] | 0.250 |" in line
  assert line.endswith("0.250 [0.200, 0.312] | 0.250 | 0.250 | 7.5 | 3.0 |")


def other(given, **changes):
  return argparse.Namespace(**{**vars(given), **changes})


def test_a_row_that_stands_is_not_made_again(study, given, tmp_path):
  row = study.ROWS["naive"]
  folder = tmp_path / "rows" / "naive"
  study.kept.keep(folder, study.settings(row, given))
  (folder / "row.json").write_text("{}")
  study.run(None, tmp_path, row, given)
  with pytest.raises(study.FailedError, match="steps was 100 and is 50"):
    study.run(None, tmp_path, row, other(given, steps=50))


def test_a_row_that_was_begun_keeps_its_settings(study, given, tmp_path):
  """There is no collection: its first command fails."""
  row = study.ROWS["naive"]
  commands = Commands(lambda _: None)
  with pytest.raises(study.FailedError, match="collection"):
    study.run(commands, tmp_path, row, given)
  with pytest.raises(study.FailedError, match="seed was 3 and is 4"):
    study.run(commands, tmp_path, row, other(given, seed=4))


def test_stages_of_unknown_settings_are_not_gone_on_from(
  study, given, tmp_path
):
  folder = tmp_path / "rows" / "naive"
  folder.mkdir(parents=True)
  (folder / "train.done").write_text("")
  with pytest.raises(study.FailedError, match="no settings.json"):
    study.run(None, tmp_path, study.ROWS["naive"], given)


def test_another_line_in_an_included_file_is_another_setting(
  study, given, tmp_path
):
  settings = study.settings(study.ROWS["atomic"], given)
  base = "studies/start/scratch_semantic.gin"
  named = {"studies/docids/tldr.gin", "docids/atomic.gin", base}
  assert named <= settings["gin"].keys()
  study.kept.keep(tmp_path, settings)
  gin = {**settings["gin"], base: ["LEARNING_RATE = 7"]}
  with pytest.raises(study.FailedError, match=f"gin of {base};"):
    study.kept.keep(tmp_path, {**settings, "gin": gin})


def test_a_run_has_an_interval_that_its_queries_give(study, tmp_path):
  """Of 40 queries every second finds its document, and first."""
  names = [f"{number:02}" for number in range(40)]
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(tmp_path / "collection", recipe) as folder:
    collection.write(
      folder,
      documents=[
        collection.Document(docno=f"d{name}", title="", text=name)
        for name in names
      ],
      queries=[
        collection.Query(query_id=f"q{name}", text=name) for name in names
      ],
      qrels={"test": {f"q{name}": {f"d{name}": 1} for name in names}},
    )
  hits = {
    f"q{name}": [runs.Hit(docno=f"d{name}", score=1.0)] for name in names[::2]
  }
  runs.write_trec(tmp_path / "free.trec", hits, tag="free")
  found = study.measured(tmp_path / "free.trec", tmp_path)
  low, high = found["interval"]
  assert found["RR@10"] == found["hits"] == 0.5
  # Of a share of 40: 1.96 x sqrt(0.25 / 40) = 0.155 on either side.
  assert [low, high] == pytest.approx([0.345, 0.655], abs=0.03)
