"""The study of starting points: its cells, costs, commands and tables."""

import dataclasses
import doctest
import importlib
import json
import os
import sys
from pathlib import Path

import pytest

from genret.core import artifacts, collection, runs
from genret.core.collection import Document, Query

ROOT = Path(__file__).parents[2]
MODULES = ("cells", "commands", "report", "runs")
TOPICS = ("cat", "dog", "ship", "river")


@pytest.fixture(scope="module", autouse=True)
def tools():
  """Scripts beside each other, importable as when one of them runs."""
  sys.path.insert(0, str(ROOT / "tools"))
  yield
  sys.path.remove(str(ROOT / "tools"))


@pytest.fixture(scope="module")
def study(tools):
  import starting_points

  return starting_points


@pytest.fixture(scope="module")
def cells(tools):
  import starting_points_cells

  return starting_points_cells


@pytest.fixture
def paths(cells, tmp_path):
  return cells.Paths(workdir=tmp_path, sources={"squad": "squad"})


def cell_of(cells, **changes):
  cell = cells.Cell(
    collection="squad", arm="scratch", docids="atomic", minutes=10.0, seed=0
  )
  return dataclasses.replace(cell, **changes)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_text_hold(name, tools):
  module = importlib.import_module(f"starting_points_{name}")
  assert doctest.testmod(module).failed == 0


def test_the_grid_has_every_cell_once_and_the_short_ones_first(cells):
  grid = cells.grid()
  assert len(grid) == len({cell.name for cell in grid}) == 6 * 2 * 2 * (3 + 1)
  first = grid[: 6 * 2 * 2]
  assert {(cell.minutes, cell.seed) for cell in first} == {(10.0, 0)}
  other = cells.grid([1.5], [7])
  assert {(cell.minutes, cell.seed) for cell in other} == {(1.5, 7)}


@pytest.mark.parametrize(
  "only", ["squat", "squad,scratch,atomic,10,0,1", "a,b"]
)
def test_a_filter_that_names_nothing_is_refused(cells, only):
  with pytest.raises(SystemExit, match="names no cell"):
    cells.chosen(cells.grid(), [only])


def test_an_arm_gets_what_it_starts_from(cells, paths):
  def arguments(**changes):
    given = dataclasses.replace(paths, checkpoint=Path("pretrained"))
    return cells.training(
      cell_of(cells, **changes),
      given,
      model=Path("m"),
      steps=30,
      eval_period=3,
    )

  vectors = f"--embeddings={paths.embeddings('squad')}"
  assert vectors in arguments(arm="encoder")
  assert vectors not in arguments(arm="encoder", docids="semantic")
  assert vectors not in arguments()
  start = "--initial_checkpoint_path=pretrained"
  assert start in arguments(arm="span") and start not in arguments()
  assert arguments(arm="span")[1:3] == [
    "--gin_file=studies/start/span_atomic.gin",
    "--gin_file=models/t5_1_1_mini.gin",
  ]
  assert "--train_steps=30" in arguments() and "--seed=0" in arguments()


def test_a_budget_holds_the_whole_run(tools):
  from starting_points_runs import Cost

  cost = Cost(start=40.0, step=0.7, first_look=20.0, look=6.0)
  steps = cost.steps(10.0)
  assert steps == (600 - 40 - 20 - 9 * 6) / 0.7 // 1
  assert cost.steps(0.5) < 0


def test_a_command_has_its_cost_and_its_log(tools, tmp_path):
  from starting_points_commands import Commands, Failed, Stopped

  commands = Commands(print)
  log = tmp_path / "logs" / "one.log"
  seconds = commands.run(
    ["--version"], log=log, core=min(os.sched_getaffinity(0))
  )
  assert 0 < seconds < 30
  assert "$ genret --version\ngenret " in log.read_text()
  with pytest.raises(Failed, match=f"genret nonsense ended with 2; see {log}"):
    commands.run(["nonsense"], log=log, core=min(os.sched_getaffinity(0)))
  commands.stop()
  with pytest.raises(Stopped):
    commands.run(["--version"], log=log, core=min(os.sched_getaffinity(0)))


def test_time_before_a_kill_counts(tools, tmp_path):
  import starting_points_runs

  assert starting_points_runs._noted(tmp_path) == 0
  (tmp_path / "cpu_seconds.json").write_text('{"9": 2.5, "18": 5.5}')
  assert starting_points_runs._noted(tmp_path) == 5.5


@pytest.fixture
def finished(cells, paths):
  """Two seeds that have a result, and BM25 beside them."""
  root = paths.collection("squad")
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": "toy"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(root, recipe) as draft:
    collection.write(
      draft,
      documents=[Document(docno=t, title="", text=t) for t in TOPICS],
      queries=[Query(query_id=f"q{t}", text=t) for t in TOPICS],
      qrels={"test": {f"q{t}": {t: 1} for t in TOPICS}},
    )
  places = {"bm25": [1, 1, 1, 2], 0: [1, 1, 2, 2], 1: [1, 2, 2, 2]}
  write_run(paths.baselines("squad") / "bm25" / "run.trec", places["bm25"])
  for seed, dev in ((0, [0.5, 0.5, 0.5]), (1, [0.25, 0.5, 0.75])):
    cell = cell_of(cells, seed=seed)
    write_run(paths.run_file(cell), places[seed])
    result = {
      "cpu_minutes": 9.0 + seed,
      "was_killed": False,
      "settings": cells.settings(cell, paths),
      "steps": 100,
      "dev": [{"RR@10": value} for value in dev],
      "test": {"RR@10": 0.75},
    }
    artifacts.write_json(paths.result(cell), result)
  return paths


def write_run(path, places):
  """Writes a run where the answer to each query stands at a place."""
  path.parent.mkdir(parents=True, exist_ok=True)
  found = {}
  for topic, place in zip(TOPICS, places, strict=True):
    docnos = [t for t in TOPICS if t != topic]
    docnos.insert(place - 1, topic)
    found[f"q{topic}"] = [
      runs.Hit(docno=docno, score=-float(i)) for i, docno in enumerate(docnos)
    ]
  runs.write_trec(path, found, tag="toy")


def test_the_table_joins_seeds_and_stands_beside_baselines(finished, cells):
  import starting_points_report

  text = starting_points_report.report(finished, cells.grid())
  table = text.split("\n\n")[1].splitlines()
  assert text.startswith("### squad, atomic docids\n")
  assert len(table) == 4
  assert table[2].startswith("| BM25 | nothing |  |  |  | 0.875 [")
  # Seeds .75 and .625; R@1 .5 and .25, their deviation .177.
  row = [part.strip() for part in table[3].split("|")[1:-1]]
  assert row[:5] == ["scratch, 10 min", "nothing", "9.5", "100", "2"]
  assert row[5].startswith("0.688 ± 0.088 [")
  assert row[6].startswith("0.375 ± 0.177 [")
  assert row[7] == "1.000 ± 0.000 [1.000, 1.000]"
  assert row[8] == "yes, +0.125"
  assert "it has seen questions like these" in text


def test_cells_are_listed_with_their_state(finished, cells, study, capsys):
  given = [f"--workdir={finished.workdir}", "--dry_run", "--seeds=0,2"]
  study.main([*given, "--only=squad,scratch,,10", "--only=squad,span,,40,0"])
  lines = {
    line.split()[0]: line for line in capsys.readouterr().out.splitlines()
  }
  assert (
    "done, 9.0 CPU-minutes, RR@10 0.750" in lines["squad-scratch-atomic-10-0"]
  )
  assert "waits for its cal" in lines["squad-scratch-atomic-10-2"]
  assert "left out: " in lines["squad-span-atomic-40-0"]
  folder = finished.calibration(cell_of(cells))
  cost = {"start": 20.0, "step": 0.5, "first_look": 35.0, "look": 5.0}
  artifacts.write_json(folder.with_suffix(".json"), {"cost": cost})
  study.main([*given, "--only=squad,scratch,atomic,10,2"])
  shown = capsys.readouterr().out
  assert "waits, 1,000 steps" in shown
  assert "1 cells, 0.2 CPU-hours to go" in shown


def test_figures_of_other_settings_are_not_shown(finished, cells):
  import starting_points_report

  path = finished.result(cell_of(cells, seed=1))
  result = json.loads(path.read_text())
  artifacts.write_json(path, result | {"settings": "others"})
  with pytest.raises(SystemExit, match="scratch-atomic-10-1: made with other"):
    starting_points_report.report(finished, cells.grid())


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--jobs=0", "expected 1 or more"),
    ("--minutes=ten", "'ten' is no list of numbers"),
    ("--size=huge", "no models/t5_1_1_huge.gin"),
    ("--checkpoint=nowhere", "is no folder of genret pretrain"),
  ],
)
def test_a_flag_that_cannot_be_is_one_line(
  study, tmp_path, capsys, flag, message
):
  with pytest.raises(SystemExit):
    study.main([f"--workdir={tmp_path}", "--dry_run", flag])
  assert message in capsys.readouterr().err


def test_a_cell_that_fails_leaves_the_others(study, cells, paths):
  said, done = [], []

  def work(item, core):
    if item == "b":
      raise KeyError(item)
    done.append(item)

  doing = study.Study(paths=paths, commands=study.Commands(said.append))
  assert study._all(doing, work, ["a", "b", "c"], jobs=1) == ["b"]
  assert done == ["a", "c"]
  assert said == ["b: FAILED, KeyError('b')"]
