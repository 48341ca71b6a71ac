"""Reads gin files statement by statement, keeping where each one stands.

The syntax is gin's, read by gin's own parser. gin itself forgets the file and
line of a binding once it has it; here they stay with it, so that whatever is
wrong with it later can be said with its place.
"""

import dataclasses
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gin
from gin import config_parser

from genret.cli import gin_files
from genret.cli.gin_names import Names, Seen, check_parameter
from genret.core.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
  """`@scope/selector` or, where evaluated, `@scope/selector()`.

  Attributes:
    text: As written, without `@` and brackets.
    evaluate: Whether it is called, and its result passed.
    scope: The scope names before the selector.
    target: The function or class that is meant.
  """

  text: str
  evaluate: bool
  scope: tuple[str, ...] = ()
  target: Any = None

  def __str__(self) -> str:
    return f"@{self.text}{'()' if self.evaluate else ''}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Macro:
  """`%NAME`."""

  name: str

  def __str__(self) -> str:
    return f"%{self.name}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Binding:
  """One line `scope/selector.parameter = value`, or `NAME = value`.

  Attributes:
    scope: The scope names before the selector; a macro's is its name.
    target: The function or class that is bound; None for a macro.
    parameter: Which of its parameters; `value` for a macro.
    value: A literal whose leaves may be `Reference` and `Macro`.
    text: The left side as written.
    place: `file:line`, or the flag it came with.
  """

  scope: tuple[str, ...]
  target: Any
  parameter: str
  value: Any
  text: str
  place: str

  @property
  def key(self) -> tuple[tuple[str, ...], Any, str]:
    """What a later binding must share to replace this one."""
    return self.scope, self.target, self.parameter

  @property
  def from_flag(self) -> bool:
    """Whether the command line said it."""
    return self.place.startswith("--")


class _Delegate(config_parser.ParserDelegate):
  """Builds our references while gin's parser reads; resolves nothing."""

  def configurable_reference(
    self, scoped_configurable_name: str, evaluate: bool
  ) -> Reference:
    return Reference(text=scoped_configurable_name, evaluate=evaluate)

  def macro(self, macro_name: str) -> Macro:
    return Macro(name=macro_name)


def read_file(
  path: Path,
  search_paths: Sequence[str],
  seen: Seen,
  *,
  parents: tuple[Path, ...] = (),
) -> Iterator[Binding]:
  """Yields the bindings of a file and of those it includes, in order.

  Args:
    path: The file.
    search_paths: Folders for `include` to look in.
    seen: What the files have named so far; filled here.
    parents: The files that include this one.

  Raises:
    ConfigError: If a line is no gin, or names what does not exist.
  """
  if path.resolve() in parents:
    raise ConfigError(f"{path}: the file includes itself.")
  names = Names(seen)
  for statement in _statements(_text(path), str(path)):
    place = f"{path}:{statement.location.line_num}"
    if isinstance(statement, config_parser.ImportStatement):
      names.add_import(statement, place)
    elif isinstance(statement, config_parser.IncludeStatement):
      included = gin_files.find(statement.filename, search_paths, said=place)
      yield from read_file(
        included, search_paths, seen, parents=(*parents, path.resolve())
      )
    elif isinstance(statement, config_parser.BlockDeclaration):
      names.resolve(statement.selector, place)
    else:
      yield _binding(statement, names, place)


def read_flag(text: str, names: Names, *, flag: str) -> Binding:
  """Returns the one binding of `NAME = value`, said on the command line.

  Args:
    text: The binding in gin's syntax.
    names: What the given files have imported.
    flag: The flag, for complaints.

  Raises:
    ConfigError: If it is no gin, or names what does not exist.
  """
  statements = list(_statements(text, flag))
  if len(statements) != 1 or not isinstance(
    statements[0], config_parser.BindingStatement
  ):
    raise ConfigError(f"{flag}: expected NAME=value.")
  return _binding(statements[0], names, flag)


def is_value(text: str) -> bool:
  """Says whether a text is a gin value as it stands.

  >>> is_value("0.1"), is_value("runs/a"), is_value("'runs/a'")
  (True, False, True)
  """
  try:
    return len(list(_statements(f"_ = {text}", "--"))) == 1
  except ConfigError:
    return False


def as_gin(value: Any, names: Names) -> str | None:
  """Returns a value in gin's syntax, as `names` would write it.

  None where a reference is to something that `names` cannot write.
  """
  if isinstance(value, Macro):
    return str(value)
  if isinstance(value, Reference):
    path = names.path_to(value.target)
    selector = path and "/".join([*value.scope, path])
    return selector and f"@{selector}{'()' if value.evaluate else ''}"
  if isinstance(value, dict):
    items = [
      (as_gin(key, names), as_gin(item, names)) for key, item in value.items()
    ]
    if any(None in item for item in items):
      return None
    return "{" + ", ".join(f"{key}: {item}" for key, item in items) + "}"
  if isinstance(value, (list, tuple)):
    items = [as_gin(item, names) for item in value]
    if None in items:
      return None
    if isinstance(value, list):
      return f"[{', '.join(items)}]"
    return "(" + "".join(f"{item}, " for item in items) + ")"
  return repr(value)


def _text(path: Path) -> str:
  try:
    return path.read_text(encoding="utf-8")
  except UnicodeDecodeError as error:
    raise ConfigError(f"{path}: not UTF-8 ({error}).") from error


def _statements(text: str, source: str) -> Iterator[Any]:
  """Yields gin's statements; its complaints in one line, with the place."""
  line = 1
  try:
    parser = config_parser.ConfigParser(text, _Delegate())
    while statement := parser.parse_statement():
      line = statement.location.line_num
      yield statement
  except (SyntaxError, tokenize.TokenError, StopIteration) as error:
    raise _syntax_error(error, source, line) from error


def _syntax_error(error: Exception, source: str, line: int) -> ConfigError:
  """Words what the tokeniser or the parser found, at its line."""
  message = str(error.args[0]).split("\n")[0] if error.args else "unfinished"
  if isinstance(error, tokenize.TokenError):
    line = error.args[1][0]
  elif isinstance(error, SyntaxError) and error.lineno:
    line = error.lineno
  place = source if source.startswith("--") else f"{source}:{line}"
  return ConfigError(f"{place}: not gin syntax: {message.rstrip('.')}.")


def _binding(
  statement: config_parser.BindingStatement, names: Names, place: str
) -> Binding:
  scope = tuple(part for part in statement.scope.split("/") if part)
  target, parameter = None, statement.arg_name
  text = "/".join([*scope, statement.selector])
  if parameter:
    target = names.resolve(statement.selector, place)
    check_parameter(target, statement.selector, parameter, place=place)
    text += f".{parameter}"
  if target is None or target is gin.config.macro:  # NAME = value
    name = text.removesuffix(".value") if target else text
    for ending in ("/gin.macro", "/macro"):
      name = name.removesuffix(ending)
    target, scope, parameter, text = None, (name,), "value", name
  return Binding(
    scope=scope,
    target=target,
    parameter=parameter,
    value=_resolved(statement.value, names, place),
    text=text,
    place=place,
  )


def _resolved(value: Any, names: Names, place: str) -> Any:
  """Fills in the targets of all references in a value."""
  if isinstance(value, Reference):
    *scope, selector = value.text.split("/")
    target = names.resolve(selector, place)
    return dataclasses.replace(value, scope=tuple(scope), target=target)
  if isinstance(value, dict):
    return {
      _resolved(key, names, place): _resolved(item, names, place)
      for key, item in value.items()
    }
  if isinstance(value, (list, tuple)):
    return type(value)(_resolved(item, names, place) for item in value)
  return value
