import json
import sys
import textwrap

import pytest

from genret.cli import gin_setup, main

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
PEAK = 0.5
sample_stage.Rate.peak = %PEAK
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


BIRDS = {
  "heron": "A grey heron stands still in shallow water and waits for fish.",
  "swift": "The swift sleeps on the wing and hardly ever lands.",
  "wren": "The wren is a very small bird with a very loud song.",
  "kite": "A red kite steers with its forked tail.",
  "dipper": "The dipper walks under water along the bed of a stream.",
  "owl": "The barn owl finds a mouse in the dark by ear.",
}
QUERIES = {
  "train": {"q1": "which bird waits for fish", "q2": "who sleeps on the wing"},
  "dev": {"q3": "small bird with a loud song"},
  "test": {"q4": "bird that steers with its tail", "q5": "walks under water"},
}
ANSWERS = dict(zip("q1 q2 q3 q4 q5".split(), BIRDS, strict=False))


@pytest.fixture(scope="session")
def birds(tmp_path_factory):
  """A folder in BEIR's layout: six documents and five queries."""
  root = tmp_path_factory.mktemp("source") / "birds"
  (root / "qrels").mkdir(parents=True)
  documents = [{"_id": i, "title": i, "text": t} for i, t in BIRDS.items()]
  queries = [
    {"_id": i, "text": text}
    for split in QUERIES.values()
    for i, text in split.items()
  ]
  for name, rows in (("corpus", documents), ("queries", queries)):
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (root / f"{name}.jsonl").write_text(lines)
  for split, asked in QUERIES.items():
    lines = "".join(f"{i}\t{ANSWERS[i]}\t1\n" for i in asked)
    head = "query-id\tcorpus-id\tscore\n"
    (root / "qrels" / f"{split}.tsv").write_text(head + lines)
  return root


@pytest.fixture(scope="session")
def collection(birds, tmp_path_factory):
  """The birds as `genret prepare` makes them."""
  out = tmp_path_factory.mktemp("prepared") / "birds"
  assert main.main(["prepare", f"--source={birds}", f"--out={out}"]) == 0
  return out
