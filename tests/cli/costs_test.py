import pytest

from genret.cli import gin_setup, main
from genret.cli.costs import COMMAND
from genret.stages import costs
from genret.stages.account import Search
from genret.stages.costs import CostsConfig
from genret.stages.latency import Timing

REQUIRED = ["--gin.MODEL_DIR=m", "--gin.COLLECTION=c"]


def test_run_file_builds_the_settings():
  given = [*REQUIRED, "--gin.NUM_BEAMS=7", "--gin.QUERIES=3"]
  _, settings = gin_setup.split(given)
  built = gin_setup.load([COMMAND.run_file], settings).build(costs.run)
  assert built["config"] == CostsConfig(
    search=Search(num_beams=7), timing=Timing(queries=3)
  )
  assert built["model_dir"] == "m" and built["out"] is None


@pytest.mark.parametrize(
  ("flag", "said"),
  [("--queries=0", "each must be 1 or more"), ("--devices=x", "invalid int")],
)
def test_what_cannot_be_is_one_line(flag, said, collection, tmp_path, capsys):
  given = [f"--model_dir={tmp_path}", f"--collection={collection}"]
  assert main.main(["costs", *given, flag]) == 2
  error = capsys.readouterr().err
  assert said in error and error.count("\n") == 1
