import sys
import textwrap

import pytest

from genret.cli import gin_setup

# A stage small enough to see through, with one of everything that gin files
# of genret use: nested dataclasses, functions passed on, an opened artifact.
STAGE = """
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rate:
  peak: float = 0.1
  decay: Literal["constant", "linear"] = "constant"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam:
  rate: Rate = Rate()
  beta: float = 0.9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Momentum:
  mass: float = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  steps: int
  lengths: Mapping[str, int]
  optimizer: Adam | Momentum = Adam()
  scheme: Callable[..., list[int]] | None = None
  layers: tuple[int, ...] = ()
  name: str = "run"
  shuffle: bool = True

  def __post_init__(self):
    if self.steps < 1:
      raise ValueError(f"steps is {self.steps}; expected 1 or more.")


class Corpus:
  def __init__(self, root):
    self.root = root

  @classmethod
  def open(cls, root: Path):
    return cls(root)


def digits(count: int, *, base: int = 10) -> list[int]:
  return [i % base for i in range(count)]


def run(config: Config, corpus: Corpus, out: Path, *, gin_text: str = ""):
  out.mkdir(parents=True)
  (out / "config.gin").write_text(gin_text)
  return config, corpus
"""

RUN_FILE = """
from __gin__ import dynamic_registration

import sample_stage

CORPUS = %gin.REQUIRED
OUT = %gin.REQUIRED
STEPS = 10
OPTIMIZER = @sample_stage.Adam()

sample_stage.run:
  config = @sample_stage.Config()
  corpus = %CORPUS
  out = %OUT

sample_stage.Config:
  steps = %STEPS
  lengths = {'inputs': 8, 'targets': %LENGTH}
  optimizer = %OPTIMIZER
  scheme = @sample_stage.digits

LENGTH = 3
sample_stage.digits.base = 2
sample_stage.Adam.rate = @sample_stage.Rate()
sample_stage.Rate.peak = 0.5
"""


@pytest.fixture
def stage(tmp_path, monkeypatch):
  """The module of the sample stage; its run file is run.gin in the cwd."""
  (tmp_path / "sample_stage.py").write_text(textwrap.dedent(STAGE))
  (tmp_path / "run.gin").write_text(RUN_FILE)
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.chdir(tmp_path)
  import sample_stage

  yield sample_stage
  del sys.modules["sample_stage"]


@pytest.fixture
def load(stage):
  """Loads run.gin, or other files, with settings as flags give them."""

  def load(*files, **given):
    given = {"CORPUS": "'c'", "OUT": "'o'"} | given
    settings = [
      gin_setup.Setting(name=name, value=value, flag=f"--gin.{name}")
      for name, value in given.items()
    ]
    return gin_setup.load(files or ["run.gin"], settings)

  return load


@pytest.fixture
def build(stage, load):
  """Builds the arguments of the sample stage."""

  def build(*files, **given):
    return gin_setup.arguments(
      load(*files, **given), stage.run, filled=("gin_text",)
    )

  return build
