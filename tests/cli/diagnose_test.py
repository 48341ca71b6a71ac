from genret.cli import gin_setup, main
from genret.cli.diagnose import COMMAND
from genret.stages import diagnose
from genret.stages.diagnose import DiagnoseConfig

REQUIRED = ["--gin.MODEL_DIR=m", "--gin.COLLECTION=c"]


def test_run_file_builds_the_settings():
  given = [*REQUIRED, "--gin.NUM_BEAMS=7", "--gin.EXHAUSTIVE_QUERIES=0"]
  _, settings = gin_setup.split(given)
  built = gin_setup.load([COMMAND.run_file], settings).build(diagnose.run)
  assert built["config"] == DiagnoseConfig(num_beams=7, exhaustive_queries=0)
  assert built["out"] is None


def test_measures_are_a_list(collection, tmp_path, capsys):
  given = [f"--model_dir={tmp_path}", f"--collection={collection}"]
  read, _ = COMMAND.read([*given, "--measures=R@1,R@5"])
  assert read["config"].measures == ("R@1", "R@5")
  assert main.main(["diagnose", *given, "--k=0"]) == 2
  error = capsys.readouterr().err
  assert "expected 1 or more" in error and error.count("\n") == 1
