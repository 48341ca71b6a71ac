"""What is measured of a cell, and where it is found."""

import dataclasses

from genret.cli.command import read_command
from genret.core import artifacts
from genret.stages.account import Search
from genret.stages.costs import CostsConfig
from genret.stages.diagnose import DiagnoseConfig
from genret.stages.latency import Timing
from genret.studies import costs, summary
from genret.studies.grid import Choice


def with_study(layout, **changes):
  study = dataclasses.replace(layout.study, **changes)
  return dataclasses.replace(layout, study=study)


def test_commands_are_of_genret(layout, cell_of):
  layout = with_study(layout, timed=7, diagnosed=5, depth=20)
  layout.study.axes["docids"]["atomic"].flags["retrieve"] = (
    "--num_beams=40",
    "--gin.SCORING='raw'",
    "--gin.BATCH_SIZE=8",
  )
  counted, diagnosed = [
    read_command(command).values
    for command in costs.commands(layout, cell_of())
  ]
  assert counted["config"] == CostsConfig(
    search=Search(k=20, num_beams=40, scoring="raw"),
    timing=Timing(queries=7),
    devices=1,
  )
  assert diagnosed["config"] == DiagnoseConfig(
    exhaustive_queries=5, measures=layout.study.measures, k=20, num_beams=40
  )
  for values in (counted, diagnosed):
    assert values["model_dir"] == str(layout.model(cell_of()))
  folder = layout.cell(cell_of())
  assert counted["out"] == str(folder / summary.COSTS)
  assert diagnosed["out"] == str(folder / summary.DIAGNOSTICS)


def test_what_writes_no_docids_is_not_diagnosed(layout):
  axis = {"twin": Choice(trainer="dual_encoder")}
  study = dataclasses.replace(
    layout.study, axes={**layout.study.axes, "inputs": axis}, rules=()
  )
  layout = dataclasses.replace(layout, study=study)
  cell = next(cell for cell in study.cells())
  [command] = costs.commands(layout, cell)
  assert command[0] == "costs"


def test_nothing_is_measured_that_is_not_wanted(layout, cell_of):
  layout = with_study(layout, timed=0, diagnosed=0)
  assert costs.commands(layout, cell_of()) == []


def test_operations_are_known_once_they_are_counted(layout, cell_of):
  folder = layout.cell(cell_of())
  assert costs.training_flops(folder) is None
  assert costs.read(folder) == {"costs": None, "diagnostics": None}
  found = {"flops": {"training": 12.0}}
  artifacts.write_json(folder / "costs.json", found)
  assert costs.read(folder)["costs"] == found
  assert costs.training_flops(folder) == 12.0
