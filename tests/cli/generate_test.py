import pytest

from genret.cli import gin_setup, main
from genret.cli.generate import COMMAND, grades
from genret.querygen.generator import Request
from genret.querygen.sampling import SamplingConfig
from genret.stages import generate
from genret.stages.generate import GenerateConfig


def test_run_file_is_the_defaults():
  required = ["--gin.COLLECTION=c", "--gin.GENERATOR=g", "--gin.OUT=o"]
  _, settings = gin_setup.split(required)
  values = gin_setup.load([COMMAND.run_file], settings).build(generate.run)
  assert values["config"] == GenerateConfig()
  assert values["config"].request == Request(how=SamplingConfig())


def test_flags_are_read():
  given = COMMAND.parser().parse(["--grades=2,0", "--top_k=5"])
  assert (given.grades, given.top_k) == ((2, 0), 5)
  assert grades("") == ()
  with pytest.raises(ValueError):
    grades("high")


def test_a_folder_that_is_no_generator_is_one_line(
  collection, tmp_path, capsys
):
  out = tmp_path / "queries"
  given = [f"--collection={collection}", f"--out={out}"]
  assert main.main(["generate", *given, f"--generator={tmp_path}"]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and "genret generator" in error
  assert not out.exists()
