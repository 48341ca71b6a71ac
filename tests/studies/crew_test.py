"""Work in parallel: what fails is noted, what needs it left, the rest done."""

import os

import pytest

from genret.core.errors import UserError
from genret.studies import crew
from genret.studies.commands import BusyError
from genret.studies.crew import Crew


class Workshop:
  """Does the parts of a study by noting them down; some go wrong."""

  def __init__(self, worker, wrong=()):
    self.layout = worker.layout
    self.commands = worker.commands
    self.wrong = dict(wrong)
    self.done = []
    self.cores = set()

  def _do(self, name, core):
    self.cores.add(core)
    if name in self.wrong:
      raise self.wrong[name]
    self.done.append(name)

  def share(self, task, core):
    self._do(task.name, core)

  def calibrate(self, cell, core):
    self._do(f"calibration {cell.setting}", core)

  def run(self, cell, core):
    self._do(cell.name, core)


def test_all_is_done_in_an_order_that_works(study, worker):
  shop = Workshop(worker)
  cells = study.cells()
  crew_ = Crew(shop, jobs=2)
  crew_.work(cells)
  assert crew_.failed == {}
  assert sorted(shop.done[:2]) == ["prepare other", "prepare toy"]
  assert len(shop.done) == len(set(shop.done)) == 2 + 2 + 3 + 6 + 10
  first = shop.done.index("toy-atomic-labelled-0")
  assert shop.done.index("calibration toy-atomic-labelled") < first
  assert shop.cores <= {crew.core(0), crew.core(1)}


def test_what_needs_a_failure_is_left_and_all_else_done(study, worker, said):
  shop = Workshop(
    worker,
    {
      "docids toy-semantic": UserError("no vectors"),
      "calibration toy-atomic-d2q": KeyError("a"),
      "other-atomic-d2q-0": UserError("too small"),
    },
  )
  crew_ = Crew(shop, jobs=1)
  crew_.work(study.cells())
  vectors = "docids toy-semantic: no vectors"
  assert crew_.failed == {
    **{
      f"toy-semantic-{inputs}-{seed}": vectors
      for inputs in ("labelled", "d2q")
      for seed in (0, 1)
    },
    "toy-atomic-d2q-0": "calibration: KeyError('a')",
    "toy-atomic-d2q-1": "calibration: KeyError('a')",
    "other-atomic-d2q-0": "too small",
  }
  done = [name for name in shop.done if name[-1].isdigit()]
  assert done == [
    "toy-atomic-labelled-0",
    "other-atomic-labelled-0",
    "toy-atomic-labelled-1",
  ]
  assert "docids toy-semantic: FAILED, no vectors" in said
  cell = study.cells()[1]
  assert worker.layout.failure(cell).read_text() == (
    "calibration: KeyError('a')\n"
  )


def test_baselines_may_fail(study, worker):
  study.axes["collection"]["toy"].flags["baselines"] = ("--x",)
  shop = Workshop(worker, {"baselines toy": UserError("no memory")})
  crew_ = Crew(shop, jobs=1)
  crew_.work(study.cells())
  assert crew_.failed == {}


def test_baselines_of_finished_cells_are_made(study, worker):
  study.axes["collection"]["toy"].flags["baselines"] = ("--x={vectors}",)
  shop = Workshop(worker, {"prepare toy": UserError("no disk")})
  crew_ = Crew(shop, jobs=1)
  crew_.work([], done=study.cells()[:1])
  assert crew_.failed == {}
  assert shop.done == ["embed toy", "baselines toy"]


def test_a_cell_that_another_process_runs_is_left(study, worker, said):
  shop = Workshop(worker, {"toy-atomic-d2q-0": BusyError("lock")})
  crew_ = Crew(shop, jobs=1)
  crew_.work(study.cells())
  assert crew_.failed == {}
  assert said == ["toy-atomic-d2q-0: left, another process is at work on it"]


def test_an_interrupt_stops_the_commands(study, worker):
  shop = Workshop(worker, {"prepare toy": KeyboardInterrupt()})
  with pytest.raises(KeyboardInterrupt):
    Crew(shop, jobs=1).work(study.cells())
  assert worker.commands._stopped


def test_jobs_take_cores_in_turn():
  available = sorted(os.sched_getaffinity(0))
  found = [crew.core(job) for job in range(len(available) + 1)]
  assert found == [*available, available[0]]


def test_what_only_baselines_read_may_fail(study, worker):
  study.axes["collection"]["toy"].flags["baselines"] = ("--x={vectors}",)
  shop = Workshop(worker, {"embed toy": UserError("no memory")})
  crew_ = Crew(shop, jobs=1)
  crew_.work(study.cells())
  assert crew_.failed.keys() == {
    cell.name
    for cell in study.cells()
    if "embed toy" in [task.name for task in worker.layout.needed(cell)]
  }
  assert "toy-atomic-d2q-0" in shop.done
