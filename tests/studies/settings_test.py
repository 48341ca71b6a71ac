"""What tells the settings of cells apart."""

import dataclasses
import json

import pytest

from genret.core import artifacts
from genret.core.errors import ConfigError
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
