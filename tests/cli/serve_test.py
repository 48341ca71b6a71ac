import pytest

from genret.cli import gin_setup, main
from genret.cli.serve import COMMAND
from genret.serving import server
from genret.serving.limits import Limits
from genret.serving.server import ServeConfig


def built(*given):
  given = ["--gin.MODEL_DIR=m", *given]
  _, settings = gin_setup.split(given)
  return gin_setup.load([COMMAND.run_file], settings).build(server.run)


def test_run_file_has_the_defaults_of_the_classes():
  found = built()
  assert found["config"] == ServeConfig()
  assert found["collection"] is None and found["token_file"] is None


def test_settings_are_macros():
  found = built("--gin.PORT=0", "--gin.BEAMS=(1, 50)", "--gin.Limits.k=5")
  assert found["config"] == ServeConfig(
    port=0, beams=(1, 50), limits=Limits(k=5)
  )
  assert found["config"].all_beams == (1, 10, 50)


@pytest.mark.parametrize(
  ("given", "message"),
  [
    (["--port=70000"], "port is 70000; expected 0 to 65535"),
    (["--num_beams=0"], "num_beams is 0"),
    (["--beams=1,x"], "--beams"),
    (["--host=no.such.host.invalid"], "host is 'no.such.host.invalid'"),
    ([], "no model folder"),
    (["--collection=nowhere"], "nowhere"),
    (["--token_file=nowhere.txt"], "nowhere.txt"),
  ],
)
def test_what_cannot_be_right_is_one_line(given, message, tmp_path, capsys):
  arguments = [f"--model_dir={tmp_path}", "--port=0", *given]
  assert main.main(["serve", *arguments]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and message in error
