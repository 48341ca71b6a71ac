import pathlib

import pytest

from genret.cli import gin_files
from genret.core.errors import ConfigError


def test_current_folder_comes_first(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  own = tmp_path / "models" / "t5_1_1_tiny.gin"
  assert gin_files.find("models/t5_1_1_tiny.gin") != own
  own.parent.mkdir()
  own.write_text("")
  assert gin_files.find("models/t5_1_1_tiny.gin").resolve() == own


@pytest.mark.parametrize(
  "name", ["models/t5_1_1_tiny.gin", "gin_configs/models/t5_1_1_tiny.gin"]
)
def test_shipped_files_are_found_from_anywhere(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert gin_files.find(name).is_file()


def test_search_paths_come_before_shipped_files(tmp_path, monkeypatch):
  elsewhere = tmp_path / "elsewhere"
  (elsewhere / "models").mkdir(parents=True)
  (elsewhere / "models" / "t5_1_1_tiny.gin").write_text("")
  found = gin_files.find("models/t5_1_1_tiny.gin", [str(elsewhere)])
  assert found.is_relative_to(elsewhere)


def test_absolute_path(tmp_path):
  (tmp_path / "a.gin").write_text("")
  assert gin_files.find(str(tmp_path / "a.gin")) == tmp_path / "a.gin"


def test_missing_file_says_where_it_looked_and_what_is_near():
  with pytest.raises(ConfigError) as caught:
    gin_files.find("models/t5_1_1_tinny.gin", ["over/here"], said="--gin_file")
  message = str(caught.value)
  assert message.startswith("--gin_file: no gin file")
  assert "over/here" in message and str(gin_files.shipped()) in message
  assert "models/t5_1_1_tiny.gin" in message
  assert "\n" not in message


def test_file_of_another_folder_is_near():
  with pytest.raises(ConfigError, match="Nearest: models/t5_1_1_tiny.gin"):
    gin_files.find("t5_1_1_tiny.gin")


def test_installed_package_keeps_the_files_inside(tmp_path, monkeypatch):
  (tmp_path / "gin_configs" / "runs").mkdir(parents=True)
  (tmp_path / "gin_configs" / "runs" / "x.gin").write_text("")
  monkeypatch.setattr(gin_files, "PACKAGE", tmp_path)
  assert gin_files.shipped() == tmp_path / "gin_configs"
  for name in ("runs/x.gin", "gin_configs/runs/x.gin"):
    assert gin_files.find(name) == pathlib.Path(
      tmp_path / "gin_configs" / "runs" / "x.gin"
    )
