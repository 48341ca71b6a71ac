from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genret.cli import gin_inputs


class Opened:
  def __init__(self, root):
    self.root = root

  @classmethod
  def open(cls, root):
    return cls(root)


class Loaded(Opened):
  open = None

  @classmethod
  def load(cls, root):
    return cls(root)


def stage(
  config: int,
  corpus: Opened,
  vectors: Loaded | None,
  files: Mapping[str, Path],
  out: Path,
  other,
): ...


def test_artifacts_are_given_as_text():
  assert gin_inputs.given_as(stage) == {
    "config": int,
    "corpus": str,
    "vectors": str | None,
    "files": Mapping[str, Path],
    "out": str,
  }


def test_artifacts_are_opened_and_paths_made():
  values: dict[str, Any] = {
    "config": 3,
    "corpus": "c",
    "vectors": "v",
    "files": {"a": "b"},
    "out": "~/o",
    "other": "text",
  }
  opened = gin_inputs.opened(stage, values)
  assert isinstance(opened["corpus"], Opened)
  assert opened["corpus"].root == Path("c")
  assert isinstance(opened["vectors"], Loaded)
  assert opened["files"] == {"a": Path("b")}
  assert opened["out"] == Path.home() / "o"
  assert opened["other"] == "text" and opened["config"] == 3


def test_nothing_stays_nothing():
  assert gin_inputs.opened(stage, {"vectors": None}) == {"vectors": None}
