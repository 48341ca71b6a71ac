"""What a worker knows of the parts of a study."""

import concurrent.futures
import dataclasses
import json
from pathlib import Path

import pytest

from genret.core import artifacts
from genret.core.errors import ConfigError
from genret.studies.calibration import Calibration, Cost
from genret.studies.commands import Commands, FailedError, held
from genret.studies.grid import Choice
from genret.studies.layout import Layout
from genret.studies.settings import Reader

KNOWN = Calibration(
  cost=Cost(start=1.0, step=0.5, first_look=2.0, look=1.0),
  examples_a_step=4.0,
  documents=4,
)


def calibrate(worker, cell):
  record = {
    "settings": worker.reader.setting(cell),
    **dataclasses.asdict(KNOWN),
  }
  path = worker.layout.calibration(cell).with_suffix(".json")
  artifacts.write_json(path, record)
  return path


def test_a_shared_result_stands_with_its_record_of_these_settings(
  worker, prepared, cell_of
):
  task = worker.layout.shared(cell_of())[0]
  assert task.folder == prepared and not worker.is_shared(task)
  artifacts.write_json(task.record, {"settings": worker.reader.task(task)})
  assert worker.is_shared(task)
  worker.share(task, core=0)  # does nothing: there is no collection `toy`
  other = dataclasses.replace(task, arguments=("prepare", "--source=b"))
  assert not worker.is_shared(other)
  task.folder.rename(task.folder.with_name("away"))
  assert not worker.is_shared(task)


def test_a_calibration_serves_all_seeds_of_its_settings(worker, cell_of):
  path = calibrate(worker, cell_of())
  assert worker.calibrate(cell_of(seed=1), core=0) == KNOWN
  assert worker.calibrated(cell_of("d2q")) is None
  path.write_text(json.dumps(json.loads(path.read_text()) | {"settings": "x"}))
  assert worker.calibrated(cell_of()) is None


def test_a_cell_is_done_with_its_result_of_these_settings(
  worker, finish, cell_of
):
  cell = cell_of()
  assert not worker.is_done(cell)
  finish(cell, [1, 1, 1, 1])
  assert worker.is_done(cell)
  assert not worker.is_done(dataclasses.replace(cell, exposures=7.0))


def test_checkpoints_of_finished_cells_go_unless_they_are_kept(worker, cell_of):
  folder = worker.layout.model(cell_of()) / "checkpoints"
  (folder / "3").mkdir(parents=True)
  dataclasses.replace(worker, keep_models=True).tidy(cell_of())
  assert folder.exists()
  worker.tidy(cell_of())
  assert not folder.exists() and folder.parent.exists()


def test_a_budget_too_small_for_a_run_is_refused(worker, cell_of):
  calibrate(worker, cell_of())
  small = dataclasses.replace(cell_of(), exposures=1.0)
  with pytest.raises(ConfigError, match="its budget is 1 steps, and a run"):
    worker.run(small, core=0)


def test_time_before_a_kill_counts(worker, cell_of):
  assert worker._noted(cell_of()) == 0
  artifacts.write_json(
    worker.layout.model(cell_of()) / "cpu_seconds.json", {"9": 2.5, "18": 5.5}
  )
  assert worker._noted(cell_of()) == 5.5
  artifacts.write_json(
    worker.layout.model(cell_of()) / "tuning.json",
    {"0.1": {"cpu_seconds": 1.0}, "0.2": {"cpu_seconds": 2.0}},
  )
  assert worker._noted(cell_of()) == 8.5


class Recorded(Commands):
  """Notes commands in place of running them; each costs five seconds."""

  def __init__(self):
    super().__init__(lambda text: None)
    self.asked = []

  def run(self, arguments, *, log, core):
    self.asked.append(tuple(arguments))
    return 5.0


def test_a_finished_model_is_not_trained_for_other_measures(worker, cell_of):
  commands = Recorded()
  worker = dataclasses.replace(worker, commands=commands)
  first = worker._train(cell_of(), 100, 0)
  noted = worker.layout.model(cell_of()) / "cpu_seconds.json"
  artifacts.write_json(noted, {"100": 4.0})

  def again(**changed):
    study = dataclasses.replace(worker.layout.study, **changed)
    layout = dataclasses.replace(worker.layout, study=study)
    reader = Reader(layout, None)
    return dataclasses.replace(worker, layout=layout, reader=reader)._train(
      cell_of(), 100, 0
    )

  assert again(depth=9, measures=("R@1",)) == first
  assert len(commands.asked) == 1
  other = again(pairs=7)  # these are searched, with the model that is there
  assert "--gin.TrainConfig.memorised_pairs=7" in commands.asked[1]
  assert other == {**first, "pairs": 7} and noted.exists()
  assert again(looks=3)["gone_on_from"] == 4.0


class Killed(Recorded):
  """Is ended before the first checkpoint, with something made."""

  def run(self, arguments, *, log, core):
    super().run(arguments, log=log, core=core)
    flags = dict(flag.partition("=")[::2] for flag in arguments)
    made = Path(flags["--model_dir"]) / "negatives" / str(len(self.asked))
    made.mkdir(parents=True)
    raise FailedError("killed")


def test_what_the_same_run_made_before_its_first_checkpoint_stays(
  worker, cell_of
):
  worker = dataclasses.replace(worker, commands=Killed())
  made = worker.layout.model(cell_of()) / "negatives"
  for steps, left in ((100, ["1"]), (100, ["1", "2"]), (99, ["3"])):
    with pytest.raises(FailedError):
      worker._train(cell_of(), steps, 0)
    assert sorted(path.name for path in made.iterdir()) == left


def test_calibration_tries_no_temperatures(worker, with_axis):
  study = with_axis("docids", none=Choice(trainer="dual_encoder"))
  worker = dataclasses.replace(
    worker, layout=Layout(study=study, workdir=worker.layout.workdir)
  )
  worker = dataclasses.replace(worker, commands=Killed())
  with pytest.raises(FailedError):
    worker._measure(study.cells()[0], 0)
  [asked] = worker.commands.asked
  assert "--gin.TrainConfig.temperatures=(0.05,)" in asked


def test_a_calibration_that_another_process_finds_is_waited_for(
  worker, cell_of
):
  commands = Recorded()
  worker = dataclasses.replace(worker, commands=commands)
  folder = worker.layout.calibration(cell_of())
  lock = folder.with_name(f".{folder.name}.lock")
  with concurrent.futures.ThreadPoolExecutor(1) as pool:
    with held(lock, wait=True):
      waiting = pool.submit(worker.calibrate, cell_of(), 0)
      with pytest.raises(concurrent.futures.TimeoutError):
        waiting.result(timeout=0.3)
      calibrate(worker, cell_of())
    assert waiting.result(timeout=30) == KNOWN
  assert not commands.asked
