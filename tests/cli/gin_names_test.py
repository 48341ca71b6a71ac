import pytest
from gin import config_parser

from genret.cli.gin_names import (
  Names,
  Seen,
  check_parameter,
  full_name,
  parameters,
)
from genret.core.errors import ConfigError


def statement(module, *, is_from=False, alias=None):
  return config_parser.ImportStatement(
    module=module, is_from=is_from, alias=alias, location=None
  )


@pytest.mark.parametrize(
  ("imported", "selector"),
  [
    (statement("sample_stage"), "sample_stage.Rate"),
    (statement("sample_stage", alias="s"), "s.Rate"),
  ],
)
def test_selector_goes_by_its_import(stage, imported, selector):
  names = Names(Seen())
  names.add_import(imported, "a.gin:1")
  assert names.resolve(selector, "a.gin:2") is stage.Rate
  assert names.path_to(stage.Rate) == selector


def test_from_import():
  from genret.core import errors

  names = Names(Seen())
  names.add_import(statement("genret.core.errors", is_from=True), "")
  assert names.resolve("errors.DataError", "") is errors.DataError
  assert names.path_to(errors.DataError) == "errors.DataError"


def test_plain_import_binds_the_first_part():
  from genret.core import errors

  names = Names(Seen())
  names.add_import(statement("genret.core.errors"), "")
  assert names.resolve("genret.core.errors.DataError", "") is errors.DataError


def test_flags_see_what_files_have_named(stage):
  seen = Seen()
  names = Names(seen)
  names.add_import(statement("sample_stage"), "")
  names.resolve("sample_stage.Rate", "")
  flags = Names.of_flags(seen)
  assert flags.resolve("Rate", "--gin.Rate.peak") is stage.Rate
  assert flags.resolve("sample_stage.Momentum", "--") is stage.Momentum
  with pytest.raises(ConfigError, match="no import provides Momenta"):
    flags.resolve("Momenta", "--")


def test_ambiguous_end_of_a_name_is_refused(stage):
  other = type("Rate", (), {"__module__": "elsewhere"})
  seen = Seen(targets={full_name(stage.Rate): stage.Rate, "else.Rate": other})
  with pytest.raises(ConfigError, match="else.Rate or sample_stage.Rate"):
    Names.of_flags(seen).resolve("Rate", "--gin.Rate.peak")


def test_unknown_parameter_names_the_nearest(stage):
  check_parameter(stage.Rate, "Rate", "peak", place="a.gin:1")
  with pytest.raises(ConfigError, match="a.gin:1: Rate .* mean 'peak'"):
    check_parameter(stage.Rate, "Rate", "peek", place="a.gin:1")
  assert list(parameters(stage.digits)) == ["count", "base"]


def test_function_of_any_parameters_takes_any():
  check_parameter(lambda **others: others, "f", "whatever", place="")
