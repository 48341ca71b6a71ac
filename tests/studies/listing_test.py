"""The list of cells before, while and after they run."""

import dataclasses

from genret.core import artifacts
from genret.models.t5 import T5Config
from genret.stages.train import TrainConfig
from genret.studies import listing
from genret.studies.calibration import Calibration, Cost
from genret.studies.cells import Worker
from genret.studies.settings import Reader, Settings
from genret.training.loop import LoopConfig

KNOWN = Calibration(
  cost=Cost(start=20.0, step=0.5, first_look=35.0, look=5.0),
  examples_a_step=4.0,
  documents=4,
)
CONFIG = TrainConfig(
  model=T5Config(emb_dim=8, num_heads=1, head_dim=8, mlp_dim=16),
  mixture="m",
  task_feature_lengths={"inputs": 128, "targets": 16},
  loop=LoopConfig(train_steps=1),
)


def lines_of(worker, cells):
  text = listing.listing(worker, cells)
  found = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
  return text, found


def test_cells_are_listed_with_their_state(study, worker, finish, cell_of):
  finish(cell_of(), [1, 1, 2, 2])
  waits = cell_of(seed=1)
  record = {"settings": worker.reader.setting(waits)}
  artifacts.write_json(
    worker.layout.calibration(waits).with_suffix(".json"),
    record | dataclasses.asdict(KNOWN),
  )
  artifacts.write_text(worker.layout.failure(cell_of("d2q")), "no disk\n")
  text, found = lines_of(worker, [cell_of(), waits, cell_of("d2q")])
  assert found[cell_of().name] == (
    "4 1,234 100 100 ? 0.15 done, RR@10 0.750".split()
  )
  # 100 exposures of 4 documents, 4 examples a step; 20 + 35 + 5 + 50 seconds.
  assert found[waits.name] == "4 ? 100 100 ? 0.03 waits".split()
  assert found[cell_of("d2q").name] == "? ? ? 50 ? ? failed: no disk".split()
  assert (
    "3 cells, 2 to run, 0.0 CPU-hours and those of 1 that are not known yet"
    in text
  )


def test_guesses_are_marked(layout, worker, cell_of):
  def read(arguments):
    return Settings(values={"config": CONFIG}, text=str(arguments))

  guessing = Worker(
    layout=layout, reader=Reader(layout, read), commands=worker.commands
  )
  text, found = lines_of(guessing, [cell_of()])
  documents, parameters, steps, exposures, flops, hours, state = found[
    cell_of().name
  ]
  assert (documents, exposures, state) == ("4", "100", "waits")
  assert int(parameters.replace(",", "")) > 32128 * 8
  assert steps.startswith("~") and hours.startswith("~")
  assert flops.startswith("~") and float(flops[1:]) > 1e6
  assert "~ from the number of operations" in text


def test_what_a_cell_lacks_is_said(layout, worker, with_axis, study):
  lacking = with_axis("inputs", d2q=study.axes["inputs"]["d2q"])
  lacking.axes["inputs"]["d2q"].values["queries"] = None
  bare = dataclasses.replace(
    worker, layout=dataclasses.replace(layout, study=lacking)
  )
  text, found = lines_of(bare, lacking.cells()[:1])
  assert "left out: {queries} is not set" in text
  assert "1 cells, 0 to run, 0.0 CPU-hours" in text
