from pathlib import Path

from genret.cli import gin_setup, main
from genret.cli.train import COMMAND
from genret.stages import train
from genret.training.optimizers import AdamW, Schedule


def built(*arguments, files=(COMMAND.run_file,)):
  required = ["--gin.MODEL_DIR=m", "--gin.COLLECTION=c", "--gin.DOCIDS=d"]
  _, settings = gin_setup.split([*required, *arguments])
  configuration = gin_setup.load(files, settings)
  return configuration.build(train.run)


def test_run_file_uses_all_that_it_sets():
  config = built()["config"]
  assert config.loop.train_steps == 10_000
  assert config.optimizer.schedule == Schedule(peak=0.001)
  assert config.mixture.keywords["input_length"] == 65
  assert config.model.emb_dim == 256  # tiny


def test_model_and_tasks_are_files_after_it():
  files = [COMMAND.run_file, "models/t5_1_1_base.gin", "tasks/daq_labelled.gin"]
  config = built(files=files)["config"]
  assert config.model.emb_dim == 768
  tasks = config.mixture.keywords["tasks"]
  assert [task.name for task in tasks] == ["daq", "labelled"]


def test_another_optimizer():
  config = built(
    "--gin.OPTIMIZER=@optimizers.AdamW()",
    "--gin.AdamW.schedule=@optimizers.Schedule()",
    "--gin.LEARNING_RATE=0.01",
  )["config"]
  assert config.optimizer == AdamW(schedule=Schedule(peak=0.01))


def test_weights_to_start_from():
  assert built()["config"].initial_checkpoint is None
  config = built("--gin.INITIAL_CHECKPOINT_PATH=models/t5")["config"]
  assert config.initial_checkpoint == "models/t5"


def test_inputs_are_checked_before_anything_is_written(tmp_path, capsys):
  out = tmp_path / "model"
  given = [f"--collection={tmp_path}", "--docids=d", f"--model_dir={out}"]
  assert main.main(["train", *given]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and str(tmp_path) in error
  assert not out.exists()


def test_flag_without_effect_is_refused(tmp_path, capsys):
  files = ["--gin_file=runs/train.gin", "--gin_file=tasks/firstp_labelled.gin"]
  given = ["--collection=c", "--docids=d", f"--model_dir={tmp_path}/m"]
  assert main.main(["train", *files, *given, "--gin.NUM_SPANS=3"]) == 2
  assert "NUM_SPANS has no effect" in capsys.readouterr().err


def test_required_macro_names_the_flag(capsys):
  assert main.main(["train", "--docids=d", "--model_dir=m"]) == 2
  error = capsys.readouterr().err
  assert "COLLECTION is required and not set. Set it with --coll" in error
  assert Path("m").exists() is False


def test_a_switch_needs_no_value():
  parser = COMMAND.parser()
  assert parser.parse(["--fully_sharded"]).fully_sharded is True
  given = parser.parse(["--allow_other_topology=false"])
  assert given.allow_other_topology is False
  assert given.fully_sharded is None
