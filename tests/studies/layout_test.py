"""Folders of a study, and the commands that fill them."""

import dataclasses
from pathlib import Path

import pytest

from genret.core.errors import ConfigError
from genret.studies.grid import Choice
from genret.studies.layout import Layout, Run

RUN = Run(folder=Path("m"), steps=30, eval_period=3, seed=1)


def test_what_is_shared_is_made_once_and_in_order(layout, cell_of):
  shared = layout.workdir / "shared"
  semantic = layout.shared(cell_of(docids="semantic"))
  assert [task.name for task in semantic] == [
    "prepare toy",
    "embed toy",
    "docids toy-semantic",
  ]
  assert semantic[-1].arguments == (
    "docids",
    f"--embeddings={shared}/embed/toy",
    f"--collection={shared}/prepare/toy",
    f"--out={shared}/docids/toy-semantic",
  )
  assert semantic[0].arguments == (
    "prepare",
    "--source=toy",
    f"--out={shared}/prepare/toy",
  )
  d2q = layout.shared(cell_of("d2q", seed=1))
  assert [task.name for task in d2q] == ["prepare toy", "docids toy-atomic"]


def test_queries_are_generated_where_no_value_names_them(with_axis, tmp_path):
  generated = with_axis(
    "inputs",
    d2q=Choice(
      flags={
        "generator": ("--folds=5",),
        "generate": ("--num_queries=3",),
        "train": ("--gin.QUERIES={queries}",),
      }
    ),
  )
  layout = Layout(study=generated, workdir=tmp_path)
  cell = generated.cells()[0]
  tasks = {task.name: task for task in layout.shared(cell)}
  assert list(tasks) == [
    "prepare toy",
    "generator toy-d2q",
    "generate toy-d2q",
    "docids toy-atomic",
  ]
  shared = tmp_path / "shared"
  made = f"{shared}/generate/toy-d2q"
  assert tasks["generate toy-d2q"].arguments[2:] == (
    f"--collection={shared}/prepare/toy",
    f"--generator={shared}/generator/toy-d2q",
    f"--out={made}",
  )
  assert f"--gin.QUERIES={made}" in layout.training(cell, RUN)


def test_training_has_the_flags_of_all_axes_and_what_a_run_adds(
  layout, cell_of
):
  shared = layout.workdir / "shared"
  assert layout.training(cell_of(), RUN) == [
    "train",
    "--gin_file=x_atomic.gin",
    f"--embeddings={shared}/embed/toy",
    f"--collection={shared}/prepare/toy",
    f"--docids={shared}/docids/toy-atomic",
    "--model_dir=m",
    "--train_steps=30",
    "--eval_period=3",
    "--seed=1",
  ]
  more = dataclasses.replace(RUN, log_every=1, pairs=20)
  assert layout.training(cell_of(), more)[-2:] == [
    "--gin.LoopConfig.log_every=1",
    "--gin.TrainConfig.memorised_pairs=20",
  ]


def test_states_are_shared_by_the_cells_of_a_collection(with_axis, tmp_path):
  cached = with_axis(
    "inputs", a=Choice(flags={"train": ("--states={states}",)})
  )
  layout = Layout(study=cached, workdir=tmp_path)
  found = {
    cell.chosen["collection"]: layout.training(cell, RUN)[1]
    for cell in cached.cells()
  }
  assert found == {
    "toy": f"--states={tmp_path}/states/toy",
    "other": f"--states={tmp_path}/states/other",
  }


def test_a_cell_without_a_value_says_what_it_lacks(
  study, layout, with_axis, tmp_path
):
  assert all(layout.lack(cell) is None for cell in study.cells())
  lacking = with_axis(
    "inputs",
    d2q=Choice(
      flags={"train": ("--gin.QUERIES={queries}",)}, values={"queries": None}
    ),
    labelled=Choice(),
  )
  layout = Layout(study=lacking, workdir=tmp_path)
  found = {c.chosen["inputs"]: layout.lack(c) for c in lacking.cells()}
  assert found == {"d2q": "{queries} is not set", "labelled": None}


def test_a_placeholder_that_stands_for_nothing_is_refused(with_axis, tmp_path):
  wrong = with_axis("inputs", a=Choice(flags={"train": ("--x={docid}",)}))
  layout = Layout(study=wrong, workdir=tmp_path)
  with pytest.raises(ConfigError, match="'docid' that.*Did you mean 'docids'"):
    layout.training(wrong.cells()[0], RUN)


@pytest.fixture
def on_rungs(with_axis, tmp_path):
  """Returns a layout of rungs whose queries may be split anew."""
  study = with_axis(
    "inputs",
    labelled=Choice(),
    d2q=Choice(
      flags={"generate": ("--x",), "train": ("--gin.QUERIES={queries}",)}
    ),
  )
  axes = {
    **study.axes,
    "documents": {
      "all": Choice(),
      "1k": Choice(flags={"ladder": ("--seed=1", "--rungs=1000")}),
    },
    "coverage": {
      "own": Choice(),
      "half": Choice(flags={"resplit": ("--coverage=0.5",)}),
    },
  }
  return Layout(
    study=dataclasses.replace(study, axes=axes), workdir=tmp_path / "w"
  )


def chosen_on(layout, **wanted):
  """Returns the first cell of some choices."""
  return next(
    cell
    for cell in layout.study.cells()
    if wanted.items() <= cell.chosen.items()
  )


def test_documents_are_of_a_rung_and_judgements_of_another_split(on_rungs):
  shared = on_rungs.workdir / "shared"
  cell = chosen_on(
    on_rungs,
    documents="1k",
    coverage="half",
    docids="semantic",
    inputs="d2q",
  )
  rung = shared / "ladder" / "toy-1k" / "1k"
  split = shared / "resplit" / "toy-1k-half"
  read = {
    task.arguments[0]: [a for a in task.arguments if "--collection" in a]
    for task in on_rungs.shared(cell)
  }
  assert read == {
    "prepare": [],
    "ladder": [f"--collection={shared}/prepare/toy"],
    "resplit": [f"--collection={rung}"],
    "embed": [f"--collection={rung}"],
    "generate": [f"--collection={split}"],
    "docids": [f"--collection={rung}"],
  }
  assert f"--collection={split}" in on_rungs.training(cell, RUN)
  assert f"--collection={split}" in on_rungs.retrieving(cell)
  assert f"--collection={split}" in on_rungs.evaluating(cell)
  assert on_rungs.rung_size(cell.chosen) == 1000
  assert on_rungs.states(cell.chosen) == on_rungs.workdir / "states" / "toy-1k"


def test_what_has_no_flags_of_a_rung_or_split_reads_what_is_before(on_rungs):
  shared = on_rungs.workdir / "shared"
  whole = chosen_on(on_rungs, documents="all", coverage="own").chosen
  assert on_rungs.collection(whole) == shared / "prepare" / "toy"
  assert on_rungs.rung_size(whole) is None
  rung = chosen_on(on_rungs, documents="1k", coverage="own")
  assert on_rungs.collection(rung.chosen) == on_rungs.documents(rung.chosen)
  docids = on_rungs.shared(rung)[-1]
  assert [task.name for task in docids.inputs] == ["ladder toy-1k"]
  split = chosen_on(on_rungs, documents="all", coverage="half")
  [made] = [t for t in on_rungs.shared(split) if t.arguments[0] == "resplit"]
  assert [task.name for task in made.inputs] == ["prepare toy"]


@pytest.mark.parametrize("flag", ["--rungs=1k,2k", "--seed=1"])
def test_a_cell_is_about_one_rung(with_axis, tmp_path, flag):
  study = with_axis("inputs", a=Choice(flags={"ladder": (flag,)}))
  layout = Layout(study=study, workdir=tmp_path)
  with pytest.raises(ConfigError, match="about one rung"):
    layout.collection(study.cells()[0].chosen)


def test_a_published_rung_is_called_as_it_is(with_axis, tmp_path):
  flags = {"ladder": ("--docnos=d.txt", "--name=theirs")}
  study = with_axis("inputs", a=Choice(flags=flags))
  layout = Layout(study=study, workdir=tmp_path)
  assert layout.collection(study.cells()[0].chosen).name == "theirs"
  assert layout.rung_size(study.cells()[0].chosen) is None


def test_a_dual_encoder_has_no_docids(with_axis, tmp_path):
  study = with_axis(
    "docids",
    none=Choice(trainer="dual_encoder", flags={"dual_encoder": ("--late",)}),
  )
  layout = Layout(study=study, workdir=tmp_path)
  cell = study.cells()[0]
  assert [task.name for task in layout.shared(cell)] == ["prepare toy"]
  assert layout.training(cell, dataclasses.replace(RUN, pairs=9)) == [
    "dual_encoder",
    "--late",
    f"--collection={tmp_path}/shared/prepare/toy",
    "--model_dir=m",
    "--train_steps=30",
    "--eval_period=3",
    "--seed=1",
    "--gin.TrainConfig.memorised_pairs=9",
  ]


def test_filtered_queries_need_a_generator_where_it_has_flags(
  with_axis, tmp_path
):
  study = with_axis(
    "inputs",
    d2q=Choice(
      flags={
        "generator": ("--folds=5",),
        "filter": ("--queries={queries}", "--k=3"),
        "train": ("--gin.QUERIES={filtered}",),
      }
    ),
  )
  layout = Layout(study=study, workdir=tmp_path)
  cell = study.cells()[0]
  tasks = {task.arguments[0]: task for task in layout.shared(cell)}
  assert list(tasks) == ["prepare", "generator", "generate", "filter", "docids"]
  shared = tmp_path / "shared"
  assert tasks["filter"].arguments == (
    "filter",
    f"--queries={shared}/generate/toy-d2q",
    "--k=3",
    f"--collection={shared}/prepare/toy",
    f"--out={shared}/filter/toy-d2q",
  )
  filtered = f"--gin.QUERIES={shared}/filter/toy-d2q"
  assert filtered in layout.training(cell, RUN)


def test_what_only_baselines_read_a_cell_can_do_without(with_axis, tmp_path):
  study = with_axis(
    "inputs",
    labelled=Choice(flags={"baselines": ("--x={vectors}", "--y={queries}")}),
  )
  layout = Layout(study=study, workdir=tmp_path)
  cell = study.cells()[0]
  names = [task.arguments[0] for task in layout.shared(cell)]
  assert names == ["prepare", "embed", "generate", "docids", "baselines"]
  assert [task.arguments[0] for task in layout.needed(cell)] == [
    "prepare",
    "docids",
  ]
