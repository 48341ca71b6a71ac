"""What all commands share: flags, the stage they call, what they say."""

import argparse
import dataclasses
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from genret.core.errors import ConfigError, suggest

_GIN_HELP = """\
gin:
  --gin_file=FILE         a gin file; may be given several times, later files
                          win. Looked up in the current folder, the search
                          paths, and the files shipped with genret.
                          Without it: {default}
  --gin_search_paths=A,B  more folders to find gin files in
  --gin.NAME=VALUE        sets a macro (--gin.TRAIN_STEPS=100) or a parameter
                          (--gin.Schedule.peak=0.01). VALUE is gin (a number,
                          True, None, 'text', [..], {{..}}, @reference,
                          %MACRO); what is no gin is taken as text, so paths
                          need no quotes.
  Flags win over files; files are read in the order given.
"""


_METAVARS = {str: "TEXT", int: "INT", float: "FLOAT", bool: "BOOL"}
# Parameters of stages that the command fills in: no settings, but the gin text
# and what reads other commands.
_FILLED = {"gin_text", "text", "read_command"}


def _truth(text: str) -> bool:
  if text.lower() not in ("true", "false"):
    raise argparse.ArgumentTypeError(f"True or False, not {text!r}")
  return text.lower() == "true"


_SWITCH = {"type": _truth, "nargs": "?", "const": True}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flag:
  """A plain flag for a macro.

  Attributes:
    name: Without dashes, the macro's name in lower case.
    help: What it means, in a phrase.
    type: str, int, float, bool (the flag alone is True), or a function from
      text to a gin literal.
  """

  name: str
  help: str
  type: Callable[[str], Any] = str

  @property
  def macro(self) -> str:
    """The macro that the flag sets."""
    return self.name.upper()


COLLECTION = Flag(
  name="collection", help="a folder of genret prepare, ladder or resplit"
)

DEVICE_FLAGS = (
  Flag(name="model_parallel", help="devices that share each matrix", type=int),
  Flag(
    name="fully_sharded",
    help="whether parameters are split over all devices",
    type=bool,
  ),
  Flag(name="accumulate", help="parts a batch is taken in, in turn", type=int),
  Flag(name="remat", help="what is made again: none, dots, full"),
  Flag(
    name="allow_other_topology",
    help="whether to go on inexactly where other processes, or another model"
    " axis through them, read other shards of the input",
    type=bool,
  ),
)
"""How the work of a step is split, and by whom: of all that train."""


class Parser(argparse.ArgumentParser):
  """argparse, but for one line on a mistake and the nearest flag's name."""

  def __init__(self, **options: Any):
    super().__init__(
      allow_abbrev=False,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      **options,
    )

  def error(self, message: str) -> NoReturn:
    """Raises instead of printing the usage."""
    raise ConfigError(f"{message} (see {self.prog} --help)")

  def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
    """Parses; an unknown flag names the nearest known one."""
    found, unknown = self.parse_known_args(arguments)
    if unknown:
      flag = unknown[0].partition("=")[0]
      known = [
        option
        for action in self._actions
        for option in action.option_strings
        if option.startswith("--")
      ]
      what = "flag" if flag.startswith("-") else "argument"
      self.error(f"unknown {what} {flag!r}.{suggest(flag, known)}")
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageCommand:
  """A command that builds a stage's arguments from gin and runs the stage.

  Attributes:
    name: As typed after `genret`; its run file is `runs/<name>.gin`.
    stage: The module of the stage, imported when the command runs.
    description: What it does, what it reads and writes, in a paragraph.
    example: Command lines to copy.
    flags: Plain flags for the common macros.
    report: Says what was written and what to do next, from what the stage
      returned and the arguments it had; "" is not printed.
    positional: The flag that a first word without dashes stands for; "" where
      there is none.
  """

  name: str
  stage: str
  description: str
  example: str
  flags: tuple[Flag, ...]
  report: Callable[[Any, dict[str, Any]], str]
  positional: str = ""

  @property
  def run_file(self) -> str:
    """The gin file that is read where none is given."""
    return f"runs/{self.name}.gin"

  def parser(self) -> Parser:
    """Returns the parser of the command's flags, gin's apart."""
    first = f" [{self.positional.upper()}]" if self.positional else ""
    parser = Parser(
      prog=f"genret {self.name}",
      usage=f"genret {self.name}{first} [flags]",
      description=self.description,
      epilog=f"{_GIN_HELP.format(default=self.run_file)}\n"
      f"example:\n{self.example}",
    )
    group = parser.add_argument_group("flags")
    for flag in self.flags:
      group.add_argument(
        f"--{flag.name}",
        metavar=_METAVARS.get(flag.type, "VALUE"),
        help=f"{flag.help} (%%{flag.macro})",
        **(_SWITCH if flag.type is bool else {"type": flag.type}),
      )
    parser.add_argument(
      "--gin_file", action="append", default=[], help=argparse.SUPPRESS
    )
    parser.add_argument(
      "--gin_search_paths", default="", help=argparse.SUPPRESS
    )
    return parser

  def run(self, arguments: Sequence[str]) -> int:
    """Parses, builds, runs and reports.

    Returns:
      The exit code that the stage's result has, or 0.

    Raises:
      UserError: If something given is wrong; nothing has been written then.
    """
    from genret.cli import gin_setup
    from genret.cli.gin_types import annotations

    configuration, stage = self._loaded(arguments)
    filled = self._filled(stage)
    values = gin_setup.arguments(
      configuration,
      stage,
      filled=tuple(filled),
      flags=self._macros,
      run_file=self.run_file,
    )
    if "gin_text" in filled:
      values["gin_text"] = configuration.text(stage, defaults=True)
    if "text" in filled:
      values["text"] = annotations(stage)["text"](
        given=configuration.text(stage),
        operative=configuration.text(stage, defaults=True),
      )
    if "read_command" in filled:
      values["read_command"] = read_command
    made = stage(**values)
    if said := self.report(made, values):
      print(said)
    return getattr(made, "exit_code", 0)

  def read(self, arguments: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Reads a command line and runs nothing.

    Returns:
      The arguments of the stage, inputs as their paths, and the gin text of
      all that has an effect.

    Raises:
      ConfigError: If something given is wrong.
    """
    from genret.cli import gin_setup

    configuration, stage = self._loaded(arguments)
    filled = tuple(self._filled(stage))
    values = gin_setup.unopened(
      configuration,
      stage,
      filled=filled,
      flags=self._macros,
      run_file=self.run_file,
    )
    return values, configuration.text(stage)

  def _loaded(self, arguments: Sequence[str]) -> tuple[Any, Any]:
    """Parses; returns the configuration, unchecked, and the stage."""
    from genret.cli import gin_setup

    first, *others = arguments or [""]
    if self.positional and first and not first.startswith("-"):
      arguments = [f"--{self.positional}={first}", *others]
    rest, settings = gin_setup.split(arguments)
    given = self.parser().parse(rest)
    plain = [
      gin_setup.Setting(
        name=flag.macro, value=repr(value), flag=f"--{flag.name}"
      )
      for flag in self.flags
      if (value := getattr(given, flag.name)) is not None
    ]
    configuration = gin_setup.load(
      given.gin_file or [self.run_file],
      [*plain, *settings],
      search_paths=[p for p in given.gin_search_paths.split(",") if p],
    )
    return configuration, importlib.import_module(self.stage).run

  @property
  def _macros(self) -> list[str]:
    return [flag.macro for flag in self.flags]

  def _filled(self, stage: Callable[..., Any]) -> set[str]:
    """Returns the parameters of a stage that are not settings."""
    return _FILLED & set(inspect.signature(stage).parameters)


def read_command(arguments: Sequence[str]) -> Any:
  """Reads a command line of genret and runs nothing.

  Args:
    arguments: The name of a command and its flags.

  Returns:
    `studies.settings.Settings`.

  Raises:
    ConfigError: If the command would refuse them.
  """
  from genret.studies.settings import Settings

  name, *rest = arguments
  command = importlib.import_module(f"genret.cli.{name}").COMMAND
  values, text = command.read(rest)
  return Settings(values=values, text=text)
