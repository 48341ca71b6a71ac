"""The command of the dual encoder takes what genret train takes."""

from pathlib import Path

import pytest

from genret.cli import command, gin_checks, gin_setup, main
from genret.cli import train as train_command
from genret.cli.dual_encoder import COMMAND
from genret.core.errors import ConfigError
from genret.retrieval.muvera import Muvera
from genret.stages import dual_encoder, train
from genret.stages.hard_negatives import HardNegatives
from genret.studies import cells
from genret.studies import study as study_stage
from genret.studies.layout import Layout, Run


def built(*arguments, files=(), command=COMMAND, stage=dual_encoder):
  required = ["--gin.MODEL_DIR=m", "--gin.COLLECTION=c"]
  _, settings = gin_setup.split([*required, *arguments])
  configuration = gin_setup.load((command.run_file, *files), settings)
  gin_checks.check(configuration, stage.run, filled=("text",))
  return configuration.build(stage.run)["config"]


def study_of(name):
  """Returns a file of studies: where cells would go, and which are wanted."""
  _, settings = gin_setup.split(["--gin.WORKDIR=w", "--gin.DEBIAN=d"])
  settings = settings[: 2 if name.endswith("ladder") else 1]
  configuration = gin_setup.load([f"studies/{name}.gin"], settings)
  given = configuration.build(study_stage.run)
  study = given["study"]
  return Layout(study=study, workdir=Path("w")), given["wanted"].of(study)


def test_flags_of_a_study_mean_the_same():
  config = built(
    "--gin.TrainConfig.memorised_pairs=2000",
    "--gin.LoopConfig.log_every=5",
    *cells.UNTUNED["dual_encoder"],
    "--gin.RETRIEVAL_RATE=None",
    "--gin.DevConfig.num_queries=300",
    files=("tasks/labelled.gin",),
  )
  assert config.temperatures == (0.05,)
  assert config.memorised_pairs == 2000 and config.loop.log_every == 5
  assert config.dev.num_queries == 300
  assert [task.name for task in config.mixture.keywords["tasks"]] == [
    "labelled"
  ]


def test_models_of_genret_train_are_models_here():
  config = built(files=("models/minilm_t5.gin",))
  assert config.model.emb_dim == 640 and config.lexical_start is not None


def test_late_interaction_and_its_negatives_are_macros():
  config = built("--gin.SCORING=late", "--gin.DIM=128", "--gin.NUM_NEGATIVES=2")
  assert (config.scoring, config.dim) == ("late", 128)
  assert config.negatives == HardNegatives(count=2)
  assert built("--gin.NEGATIVES=None").negatives is None


@pytest.mark.parametrize(
  ("ours", "theirs"),
  [
    ("small/dual_frozen", "start/encoder_frozen_atomic"),
    ("small/dual_t5", "inputs/t5_atomic"),
  ],
)
def test_studies_read_the_pairs_that_models_of_docids_read(ours, theirs):
  tasks = "tasks/firstp_labelled.gin"
  of_docids = built(
    "--gin.DOCIDS=d",
    files=(f"studies/{theirs}.gin", tasks),
    command=train_command.COMMAND,
    stage=train,
  )
  config = built(files=(f"studies/{ours}.gin", tasks))
  found, expected = (
    one.mixture.keywords["tasks"] for one in (config, of_docids)
  )
  assert found == expected and expected[1].token_dropout == (0.0, 0.3)
  assert config.cache_states == of_docids.cache_states


@pytest.mark.parametrize("name", ["small/ladder", "small/folds"])
def test_dual_encoders_have_the_whole_budget_of_a_study(name):
  layout, _ = study_of(name)
  study = layout.study
  run = Run(folder=Path("m"), steps=9, eval_period=3, seed=0)
  cells = [c for c in study.cells() if study.trainer(c.chosen) != "train"]
  budgets = {(cell.exposures, cell.minutes) for cell in cells}
  assert budgets == {(study.exposures, None)}
  frozen = [cell for cell in cells if cell.chosen.get("model") != "t5"]
  assert frozen
  for cell in frozen:
    states = f"--states={layout.states(cell.chosen)}"
    assert states in layout.training(cell, run)


def test_late_interaction_is_a_choice_that_must_be_named():
  layout, wanted = study_of("small/ladder")
  every = {cell.name: cell for cell in layout.study.cells()}
  for name in ("late", "muvera"):
    cell = every[f"debian_pkg-1k-none-frozen-{name}-d2q_labelled-0"]
    assert cell not in wanted
    run = Run(folder=Path("m"), steps=9, eval_period=3, seed=0)
    training = command.read_command(layout.training(cell, run))
    config = training.values["config"]
    assert (config.scoring, config.dim) == ("late", 128)
    assert config.cache_states
  searching = command.read_command(layout.retrieving(cell))
  assert searching.values["config"].muvera == Muvera(candidates=200)


def test_what_is_about_docids_has_no_effect():
  with pytest.raises(ConfigError, match="LABEL_SMOOTHING has no effect"):
    built("--gin.NEGATIVES=None", "--gin.LABEL_SMOOTHING=0.1")


def test_flags_are_those_of_training():
  names = {flag.name for flag in COMMAND.flags}
  assert {"collection", "model_dir", "train_steps", "eval_period"} <= names
  assert {"seed", "initial_checkpoint_path", "scoring", "remat"} <= names
  assert not names & {"docids", "embeddings", "accumulate"}


def test_a_folder_that_is_no_collection_is_one_line(tmp_path, capsys):
  given = [f"--collection={tmp_path}", f"--model_dir={tmp_path}/m"]
  assert main.main(["dual_encoder", *given]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and str(tmp_path) in error
