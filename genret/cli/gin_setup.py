"""From a command line to a checked configuration of one stage.

t5x's flags (`--gin_file`, `--gin_search_paths`, `--gin.NAME=value`) and plain
flags for common macros (`--model_dir=x` is `--gin.MODEL_DIR="'x'"`).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from genret.cli import gin_checks, gin_files, gin_inputs, gin_reader
from genret.cli.gin_config import Configuration
from genret.cli.gin_names import Names, Seen
from genret.cli.gin_reader import Binding
from genret.core.errors import ConfigError

PREFIX = "--gin."
# A value that begins so is meant as gin; if it is not, that is a mistake.
_GIN_OPENINGS = tuple("@%[({'\"")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
  """`NAME=value` as the command line gave it.

  Attributes:
    name: A macro, or `selector.parameter`.
    value: In gin's syntax.
    flag: What to call it in a complaint.
  """

  name: str
  value: str
  flag: str


def split(arguments: Sequence[str]) -> tuple[list[str], list[Setting]]:
  """Takes `--gin.NAME=value` out of a command line.

  A value that is no gin is taken as a string, so that paths need no quotes.

  >>> rest, settings = split(["--k=3", "--gin.OUT=runs/a", "--gin.STEPS=5"])
  >>> rest, [(s.name, s.value) for s in settings]
  (['--k=3'], [('OUT', "'runs/a'"), ('STEPS', '5')])

  Raises:
    ConfigError: If a flag has no value.
  """
  rest, settings = [], []
  for argument in arguments:
    if not argument.startswith(PREFIX):
      rest.append(argument)
      continue
    flag, equals, value = argument.partition("=")
    name = flag.removeprefix(PREFIX)
    if not equals or not name:
      raise ConfigError(
        f"{flag}: expected {PREFIX}NAME=value, with an equals sign."
      )
    if not gin_reader.is_value(value) and not value.startswith(_GIN_OPENINGS):
      value = repr(value)
    settings.append(Setting(name=name, value=value, flag=flag))
  return rest, settings


def load(
  files: Sequence[str],
  settings: Sequence[Setting],
  *,
  search_paths: Sequence[str] = (),
) -> Configuration:
  """Reads gin files in order, then what the command line sets.

  Args:
    files: Names that `gin_files.find` finds.
    settings: The command line's, applied in order.
    search_paths: More folders to find files in.

  Raises:
    ConfigError: If a file is missing, or a line is wrong; says which.
  """
  seen = Seen()
  bindings: list[Binding] = []
  for name in files:
    path = gin_files.find(name, search_paths, said="--gin_file")
    bindings += gin_reader.read_file(path, search_paths, seen)
  names = Names.of_flags(seen)
  for setting in settings:
    text = f"{setting.name} = {setting.value}"
    bindings.append(gin_reader.read_flag(text, names, flag=setting.flag))
  return Configuration(bindings, seen)


def arguments(
  configuration: Configuration,
  stage: Callable[..., Any],
  *,
  filled: Sequence[str] = (),
  flags: Sequence[str] = (),
  run_file: str = "",
) -> dict[str, Any]:
  """Checks a configuration and builds the arguments of a stage from it.

  An argument that the stage wants as an opened artifact (anything with `open`
  or `load`) is given in gin as a path, and opened here.

  Args:
    configuration: What the files and flags say.
    stage: The stage's function.
    filled: Parameters that the caller fills in itself.
    flags: Macros that have a plain flag.
    run_file: A gin file that configures the stage, to name in messages.

  Raises:
    ConfigError: If the configuration cannot be right.
    ArtifactError: If an input is no artifact of the wanted kind.
  """
  values = unopened(
    configuration, stage, filled=filled, flags=flags, run_file=run_file
  )
  return gin_inputs.opened(stage, values)


def unopened(
  configuration: Configuration,
  stage: Callable[..., Any],
  *,
  filled: Sequence[str] = (),
  flags: Sequence[str] = (),
  run_file: str = "",
) -> dict[str, Any]:
  """Does as `arguments`, and leaves inputs as the paths that gin names."""
  gin_checks.check(
    configuration, stage, filled=filled, flags=flags, run_file=run_file
  )
  return configuration.build(stage)
