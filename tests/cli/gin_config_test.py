import dataclasses

import gin
import pytest

from genret.cli import gin_setup

SCOPED = """
include 'run.gin'
from __gin__ import dynamic_registration
import sample_stage
OPTIMIZER = @slow/sample_stage.Adam()
slow/sample_stage.Adam.beta = 0.8
RATE = @sample_stage.Rate()
sample_stage.Adam.rate = %RATE
RATE/sample_stage.Rate.decay = 'linear'
other/sample_stage.digits.base = 3
sample_stage.Config.scheme = @other/sample_stage.digits
sample_stage.Config.name = %NAMES/FIRST
NAMES/FIRST = 'a'
"""


def built_by_gin(stage, file):
  """What gin itself makes of a file: the oracle."""
  with gin.config.interactive_mode(), gin.unlock_config():
    gin.clear_config()
    gin.parse_config_file(file)
    gin.parse_config(["CORPUS = 'c'", "OUT = 'o'"])
    config = gin.get_bindings(stage.run)["config"]
    calls = config.scheme(7)
    gin.clear_config()
  return config, calls


def test_builds_what_gin_builds(stage, tmp_path, build):
  (tmp_path / "scoped.gin").write_text(SCOPED)
  for file in ("run.gin", "scoped.gin"):
    ours = build(file)["config"]
    theirs, calls = built_by_gin(stage, file)
    assert ours.scheme(7) == calls
    assert dataclasses.replace(ours, scheme=None) == dataclasses.replace(
      theirs, scheme=None
    )


def test_scopes_choose_bindings(stage, tmp_path, build):
  (tmp_path / "scoped.gin").write_text(SCOPED)
  config = build("scoped.gin")["config"]
  rate = stage.Rate(peak=0.5, decay="linear")  # A macro is a scope too.
  assert config.optimizer == stage.Adam(rate=rate, beta=0.8)
  assert config.scheme(4) == [0, 1, 2, 0]
  assert config.name == "a"


def test_functions_show_their_settings(stage, build):
  scheme = build()["config"].scheme
  assert scheme.func is stage.digits and scheme.keywords == {"base": 2}
  other = build(**{"Config.scheme": "None"})["config"].scheme
  assert other is None


@pytest.mark.parametrize("defaults", [True, False])
def test_text_reads_back_as_the_same_configuration(
  stage, tmp_path, defaults, load
):
  loaded = load(**{"Rate.peak": "3.0"})  # PEAK is left without a reader.
  text = loaded.text(stage.run, defaults=defaults)
  (tmp_path / "again.gin").write_text(text)
  again = gin_setup.load(["again.gin"], [])
  first = gin_setup.arguments(loaded, stage.run)["config"]
  second = gin_setup.arguments(again, stage.run)["config"]
  assert first.optimizer == second.optimizer
  assert first.scheme.keywords == second.scheme.keywords
  assert again.text(stage.run, defaults=defaults) == text
  assert ("  shuffle = True\n" in text) == defaults
  assert "PEAK" not in text
