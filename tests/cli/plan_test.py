import json

import pytest

from genret.cli import gin_setup, main
from genret.cli.plan import COMMAND
from genret.cli.train import COMMAND as train_command
from genret.stages import plan, train
from genret.training.chunked import Chunked
from genret.training.losses import Loss
from genret.training.optimizers import Adafactor, AdamW, Schedule
from genret.training.partitioning import MeshShape
from genret.training.sampled import Sampled


def built(*arguments, files=(COMMAND.run_file,)):
  _, settings = gin_setup.split(arguments)
  configuration = gin_setup.load(files, settings)
  return configuration.build(plan.run)


def test_run_file_plans_atomic_docids_of_ms_marco():
  config = built()["config"]
  assert config.docids.symbols == 8_841_825
  assert config.model.emb_dim == 256  # tiny
  assert config.machine.devices == 8


def test_model_files_of_training_come_after_it():
  files = [COMMAND.run_file, "models/t5_1_1_xl.gin"]
  config = built(
    "--gin.REMAT=full", "--gin.ACTIVATION_DTYPE=bfloat16", files=files
  )["config"]
  assert config.model.emb_dim == 2048
  assert (config.model.remat, config.model.dtype) == ("full", "bfloat16")


def test_a_mesh_is_a_macro():
  config = built(
    "--gin.MESH=@partitioning.MeshShape()",
    "--gin.MODEL_PARALLEL=4",
    "--gin.FULLY_SHARDED=True",
  )["config"]
  assert config.split.mesh == MeshShape(model=4, fully_sharded=True)


def test_another_optimizer():
  config = built("--gin.OPTIMIZER=@optimizers.AdamW()")["config"]
  assert config.optimizer == AdamW()


def test_a_sampled_head_is_a_macro():
  config = built(
    "--gin.HEAD=@sampled.Sampled()", "--gin.Sampled.negatives=512"
  )["config"]
  assert config.loss == Loss(head=Sampled(negatives=512))


def test_a_file_of_settings_serves_training_and_planning(tmp_path):
  file = tmp_path / "mine.gin"
  file.write_text(
    "from __gin__ import dynamic_registration\n"
    "from genret.training import chunked\n"
    "HEAD = @chunked.Chunked()\nLABEL_SMOOTHING = 0.1\nZ_LOSS = 0.0\n"
    "LEARNING_RATE = 0.5\nWARMUP_STEPS = 7\n"
  )
  config = built(files=[COMMAND.run_file, str(file)])["config"]
  assert config.loss == Loss(head=Chunked(), label_smoothing=0.1, z_loss=0.0)
  schedule = Schedule(peak=0.5, warmup_steps=7)
  assert config.optimizer == Adafactor(schedule=schedule)
  required = ["--gin.MODEL_DIR=m", "--gin.COLLECTION=c", "--gin.DOCIDS=d"]
  _, settings = gin_setup.split(required)
  files = [train_command.run_file, str(file)]
  theirs = gin_setup.load(files, settings).build(train.run)["config"]
  assert (theirs.loss, theirs.optimizer) == (config.loss, config.optimizer)


def test_a_plan_from_the_command_line(tmp_path, capsys):
  out = tmp_path / "plan.json"
  given = ["--devices=2", "--model_parallel=2", "--fully_sharded=true"]
  given += ["--num_documents=1000", "--docid_length=3", "--docid_vocab_size=12"]
  assert main.main(["plan", *given, "--batch_size=4", f"--out={out}"]) == 0
  said = capsys.readouterr().out
  assert "1,000 docids of 3 symbols out of 12" in said
  assert "compiles for 1 data x 2 model virtual devices" in said
  assert ", as counted (" in said
  assert "training fits\nretrieval fits\n" in said
  figures = json.loads(out.read_text())
  assert figures["parameters"]["head"] == 256 * 128
  assert figures["virtual_devices"]["sizes"] == {"data": 1, "model": 2}


@pytest.mark.parametrize(
  ("flag", "said"),
  [
    ("--model_parallel=3", "8 devices cannot be split 3 ways"),
    ("--batch_size=100", "100 rows cannot be taken in 1 parts over 8"),
    ("--remat=some", "must be 'none' or 'dots' or 'full', not 'some'"),
    ("--docid_vocab_size=100", "8,841,823 documents need docids of 1 symbols"),
    ("--gin.TRAIN_STEPS=7", "TRAIN_STEPS has no effect"),
  ],
)
def test_what_cannot_be_is_one_line(flag, said, capsys):
  assert main.main(["plan", flag]) == 2
  error = capsys.readouterr().err
  assert said in error and error.count("\n") == 1
