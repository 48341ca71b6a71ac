import pathlib

import pytest

from genret.cli import gin_setup
from genret.core.errors import ConfigError

# What can be wrong, each in one line with its place.

WRONG = [
  # An unset macro.
  (
    {"CORPUS": "%gin.REQUIRED"},
    "CORPUS is required and not set. Set it with --gin.CORPUS=VALUE",
  ),
  ({"STEPS": "%STEPPS"}, "reads %STEPPS, which is not set"),
  # Macros and bindings that nobody consumes.
  ({"STEPZ": "5"}, "STEPZ has no effect: nothing reads it. Did you mean 'STEP"),
  ({"Momentum.mass": "0.1"}, r"no import provides Momentum"),
  (
    {"sample_stage.Momentum.mass": "0.1"},
    r"sample_stage\.Momentum\.mass has no effect",
  ),
  # Unknown parameters and names.
  ({"Rate.peek": "0.1"}, "Rate has no parameter 'peek'. Did you mean 'peak'"),
  ({"OPTIMIZER": "@sample_stage.Adm()"}, "has no 'Adm'.*Did you mean 'Adam'"),
  ({"OPTIMIZER": "@smaple_stage.Adam()"}, "Did you mean 'sample_stage'"),
  # Wrong types, nested ones too.
  ({"STEPS": "'ten'"}, "Config.steps .* must be int, not 'ten'"),
  ({"STEPS": "1e3"}, "must be int, not 1000.0. Write 1000"),
  ({"STEPS": "True"}, "must be int, not True"),
  ({"LENGTH": "0.5"}, "must be Mapping.str, int., not"),
  ({"Config.layers": "[1]"}, r"must be tuple\[int, ...\], not \[1\]. Write \("),
  ({"Config.shuffle": "'true'"}, "must be bool, not 'true'. Write True"),
  ({"Config.name": "5"}, "must be str, not 5. Write it in quotes: '5'"),
  ({"Rate.decay": "'linea'"}, "must be 'constant' or 'linear', not 'linea'"),
  ({"OPTIMIZER": "@sample_stage.Adam"}, r"Did you mean @sample_stage.Adam\(\)"),
  ({"OPTIMIZER": "@sample_stage.Rate()"}, r"must be Adam .* or Momentum"),
  (
    {"Config.scheme": "@sample_stage.digits()"},
    r"must be a function \(@module.name\) or None, not @sample_stage.digits",
  ),
  # Read by something that is not in use.
  (
    {"OPTIMIZER": "@sample_stage.Momentum()", "PEAK": "2.0"},
    "PEAK has no effect: what would read it, sample_stage.Rate.peak, is not",
  ),
  # Refused by the constructor itself.
  ({"Config.steps": "0"}, "--gin.Config.steps: steps is 0; expected 1 or"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_mistake_is_one_clear_line(given, message, build):
  with pytest.raises(ConfigError, match=message) as caught:
    build(**given)
  assert "\n" not in str(caught.value)
  first = str(caught.value).split(": ")[0]
  assert first.startswith(("--gin.", "run.gin:"))


def test_missing_argument_names_what_lacks_it(tmp_path, build):
  text = pathlib.Path("run.gin").read_text().replace("  steps = %STEPS\n", "")
  (tmp_path / "run.gin").write_text(text.replace("STEPS = 10\n", ""))
  with pytest.raises(ConfigError, match=r"run.gin:\d+: .*Config needs 'steps'"):
    build()


def test_near_miss_of_a_required_macro_is_named(stage, load):
  loaded = load(CORPUS="%gin.REQUIRED", CORPSE="'c'")
  with pytest.raises(ConfigError, match="CORPSE is set, but nothing reads it"):
    gin_setup.arguments(loaded, stage.run)


def test_run_file_left_out_is_named(stage, tmp_path):
  (tmp_path / "other.gin").write_text("A = 1\n")
  loaded = gin_setup.load(["other.gin"], [])
  with pytest.raises(ConfigError, match="--gin_file=runs/sample.gin, before"):
    gin_setup.arguments(loaded, stage.run, run_file="runs/sample.gin")


def test_what_a_later_line_unhooks_is_no_mistake(stage, build):
  config = build(OPTIMIZER="@sample_stage.Momentum()")["config"]
  assert config.optimizer == stage.Momentum()  # Adam's lines fall silent.


def test_flag_for_what_is_unhooked_is_a_mistake(build):
  with pytest.raises(ConfigError, match="--gin.Rate.peak: Rate.peak has no"):
    build(OPTIMIZER="@sample_stage.Momentum()", **{"Rate.peak": "3.0"})
