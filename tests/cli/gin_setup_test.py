import pathlib

import pytest

from genret.cli import gin_setup
from genret.core.errors import ConfigError


def test_arguments_of_the_stage(stage, build):
  built = build(STEPS="20")
  config = built["config"]
  assert config == stage.Config(
    steps=20,
    lengths={"inputs": 8, "targets": 3},
    optimizer=stage.Adam(rate=stage.Rate(peak=0.5)),
    scheme=config.scheme,
  )
  assert config.scheme.func is stage.digits
  assert config.scheme.keywords == {"base": 2}
  assert built["out"] == pathlib.Path("o")
  assert isinstance(built["corpus"], stage.Corpus)


def test_flag_reaches_a_parameter_by_the_end_of_its_name(build):
  given = {"Rate.peak": "2.0", "sample_stage.Config.name": "'x'"}
  config = build(**given)["config"]
  assert config.optimizer.rate.peak == 2.0
  assert config.name == "x"


def test_flag_may_refer_to_what_no_file_has_named(stage, build):
  config = build(OPTIMIZER="@sample_stage.Momentum()")["config"]
  assert config.optimizer == stage.Momentum()


@pytest.mark.parametrize(
  ("argument", "value"),
  [
    ("5", "5"),
    ("-0.5", "-0.5"),
    ("'a b'", "'a b'"),
    ("runs/a", "'runs/a'"),
    ("/tmp/it's", '"/tmp/it\'s"'),
    ("tiny", "'tiny'"),
    ("", "''"),
    ("[1,", "[1,"),
    ("@x.y()", "@x.y()"),
    ("a=b", "'a=b'"),
  ],
)
def test_flag_values(argument, value):
  rest, found = gin_setup.split([f"--gin.A={argument}", "--k=1"])
  assert rest == ["--k=1"]
  assert [(s.name, s.value) for s in found] == [("A", value)]


def test_flag_without_value_is_refused():
  with pytest.raises(ConfigError, match=r"--gin\.A: expected --gin\.NAME="):
    gin_setup.split(["--gin.A", "5"])
