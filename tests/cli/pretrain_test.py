import pytest

from genret.cli import gin_setup, main
from genret.cli.pretrain import COMMAND, folders
from genret.models.t5 import size
from genret.stages import pretrain
from genret.stages.pretrain import T5_SCHEDULE
from genret.tasks.span_corruption import SpanCorruption
from genret.tasks.texts import TextConfig


def built(*arguments, files=(COMMAND.run_file,)):
  required = ["--gin.COLLECTIONS=('a', 'b')", "--gin.OUT=m"]
  _, settings = gin_setup.split([*required, *arguments])
  return gin_setup.load(files, settings).build(pretrain.run)


def test_run_file_is_the_recipe_of_t5():
  values = built()
  config = values["config"]
  assert values["collections"] == ("a", "b")
  assert config.optimizer.schedule == T5_SCHEDULE
  assert config.corruption == SpanCorruption()
  assert config.texts == TextConfig()
  assert (config.inputs_length, config.batch_size) == (512, 128)
  assert config.model.dropout_rate == 0.0


@pytest.mark.parametrize("name", ["mini", "small"])
def test_sizes_are_files_after_it(name):
  files = [COMMAND.run_file, f"models/t5_1_1_{name}.gin"]
  model = built("--gin.ACTIVATION_DTYPE='bfloat16'", files=files)[
    "config"
  ].model
  assert model.emb_dim == size(name).emb_dim
  assert model.dtype == "bfloat16"


def test_flags_are_read():
  given = COMMAND.parser().parse(
    ["--collections=a,b", "--excluded_splits=", "--dtype=bfloat16"]
  )
  assert given.collections == ("a", "b")
  assert given.excluded_splits == ()


def test_a_list_with_a_hole_is_refused(capsys):
  with pytest.raises(ValueError):
    folders("a,,b")
  assert main.main(["pretrain", "--collections=a,", "--out=m"]) == 2
  assert "--collections" in capsys.readouterr().err


def test_collections_are_checked_before_anything_is_written(tmp_path, capsys):
  given = [f"--collections={tmp_path}", f"--out={tmp_path / 'm'}"]
  assert main.main(["pretrain", *given]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and str(tmp_path) in error
  assert not (tmp_path / "m").exists()
