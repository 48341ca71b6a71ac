"""What tells the settings of cells apart."""

import dataclasses
import json

import pytest

from genret.core import artifacts
from genret.core.errors import ConfigError
from genret.studies import settings
from genret.studies.grid import Choice
from genret.studies.layout import Layout
from genret.studies.settings import Reader, Settings


def test_budget_seed_and_measures_tell_cells_apart(layout, study, cell_of):
  reader = Reader(layout, None)
  cell = cell_of()
  keys = [
    reader.cell(cell),
    reader.cell(cell_of(seed=1)),
    reader.cell(cell_of("d2q")),
    reader.cell(dataclasses.replace(cell, exposures=7.0)),
    reader.cell(dataclasses.replace(cell, minutes=7.0)),
  ]
  deeper = Layout(
    study=dataclasses.replace(study, depth=9), workdir=layout.workdir
  )
  keys.append(Reader(deeper, None).cell(cell))
  assert len(set(keys)) == len(keys)


def test_seeds_and_budgets_share_a_calibration(layout, cell_of):
  reader = Reader(layout, None)
  cell = cell_of()
  other = dataclasses.replace(cell_of(seed=1), exposures=7.0)
  assert reader.setting(cell) == reader.setting(other)
  assert reader.setting(cell) != reader.setting(cell_of("d2q"))


def test_a_study_may_be_moved(layout, study, cell_of, tmp_path):
  moved = Layout(study=study, workdir=tmp_path / "elsewhere")
  cell = cell_of()
  assert Reader(moved, None).cell(cell) == Reader(layout, None).cell(cell)


def test_flags_of_what_is_shared_count(layout, study, with_axis, cell_of):
  other = with_axis("docids", atomic=Choice(flags={"docids": ("--wide",)}))
  other = dataclasses.replace(other, rules=study.rules[:1])
  found = Reader(Layout(study=other, workdir=layout.workdir), None)
  assert found.cell(cell_of()) != Reader(layout, None).cell(cell_of())


def test_files_that_values_name_count_by_their_content(
  layout, with_axis, tmp_path
):
  def key(path):
    study = with_axis(
      "inputs",
      d2q=Choice(
        flags={"train": ("--gin.Q={queries}",)}, values={"queries": str(path)}
      ),
    )
    reader = Reader(Layout(study=study, workdir=tmp_path / "w"), None)
    return reader.cell(study.cells()[0])

  (tmp_path / "a").mkdir()
  (tmp_path / "b").mkdir()
  for folder, text in (("a", "one"), ("b", "two")):
    recipe = artifacts.Recipe(stage="generate", arguments={"text": text})
    with artifacts.building(tmp_path / folder / "q", recipe) as draft:
      (draft / "queries.jsonl").write_text(text)
  assert key(tmp_path / "a" / "q") != key(tmp_path / "b" / "q")


def keyed(with_axis, tmp_path, value):
  """Returns the key of a cell that reads a value, by a new reader."""
  settings.identified.cache_clear()
  study = with_axis(
    "inputs",
    d2q=Choice(
      flags={"train": ("--gin.Q={queries}",)}, values={"queries": value}
    ),
  )
  reader = Reader(Layout(study=study, workdir=tmp_path / "w"), None)
  return reader.cell(study.cells()[0])


def test_a_file_without_a_slash_in_its_name_counts(
  with_axis, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  keys = [keyed(with_axis, tmp_path, "q.jsonl")]
  for text in ("one", "two"):
    (tmp_path / "q.jsonl").write_text(text)
    keys.append(keyed(with_axis, tmp_path, "q.jsonl"))
  assert len(set(keys)) == 3
  assert keyed(with_axis, tmp_path, "q.jsonl") == keys[-1]


def test_a_folder_that_is_no_artifact_counts_by_its_files(with_axis, tmp_path):
  folder = tmp_path / "beir"
  (folder / "qrels").mkdir(parents=True)
  (folder / "qrels" / "test.tsv").write_text("a\tb\t1\n")
  keys = [keyed(with_axis, tmp_path, str(folder))]
  (folder / "qrels" / "test.tsv").write_text("a\tc\t1\n")
  keys.append(keyed(with_axis, tmp_path, str(folder)))
  (folder / "corpus.jsonl").write_text("{}\n")
  keys.append(keyed(with_axis, tmp_path, str(folder)))
  assert len(set(keys)) == 3


def test_a_shared_result_counts_with_what_it_is_made_of(
  layout, with_axis, cell_of
):
  def keys(source):
    study = with_axis(
      "collection", toy=Choice(flags={"prepare": (f"--source={source}",)})
    )
    mine = Layout(study=study, workdir=layout.workdir)
    tasks = mine.shared(cell_of(docids="semantic"))
    reader = Reader(mine, None)
    return {task.arguments[0]: reader.task(task) for task in tasks}

  one, other = keys("toy"), keys("other")
  assert set(one) == {"prepare", "embed", "docids"}
  assert all(one[command] != other[command] for command in one)


def test_a_shared_result_counts_with_the_files_that_its_flags_name(
  layout, with_axis, cell_of, tmp_path
):
  def keys(text):
    settings.identified.cache_clear()
    (tmp_path / "archive").write_text(text)
    values = {"source": str(tmp_path / "archive")}
    flags = {"prepare": ("--source={source}",)}
    study = with_axis("collection", toy=Choice(flags=flags, values=values))
    mine = Layout(study=study, workdir=layout.workdir)
    return [Reader(mine, None).task(task) for task in mine.shared(cell_of())]

  one, other = keys("one"), keys("other")
  assert all(a != b for a, b in zip(one, other, strict=True))


def test_a_model_does_not_depend_on_how_it_is_measured(layout, study, cell_of):
  def keys(**changed):
    mine = dataclasses.replace(study, **changed)
    reader = Reader(Layout(study=mine, workdir=layout.workdir), None)
    return reader.trained(cell_of()), reader.cell(cell_of())

  trained, cell = keys()
  for changed in ({"pairs": 7}, {"depth": 9}, {"measures": ("R@1",)}):
    assert keys(**changed)[0] == trained
    assert keys(**changed)[1] != cell
  assert keys(looks=3)[0] != trained
  reader = Reader(layout, None)
  assert reader.trained(cell_of(seed=1)) != trained


def test_commands_are_read_once_and_their_mistakes_told(layout, study):
  asked = []

  def read(arguments):
    asked.append(tuple(arguments))
    if "--gin.QUERIES=q.jsonl" in arguments:
      raise ConfigError("no such macro")
    return Settings(values={}, text=json.dumps(arguments))

  reader = Reader(layout, read)
  good = [c for c in study.cells() if c.chosen["inputs"] == "labelled"]
  reader.check(good)
  commands = [arguments[0] for arguments in asked]
  assert set(commands) == {"prepare", "embed", "docids", "train", "retrieve"}
  assert len(set(asked)) == len(asked)
  with pytest.raises(ConfigError, match="no such macro"):
    reader.check(study.cells())
