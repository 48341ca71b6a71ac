"""What is wrong with a configuration, found before anything runs.

A macro that is needed and not set, a parameter that nothing fills, a value of
the wrong type, a line that nobody reads: each is a ConfigError that says what,
where, and what to do.
"""

import difflib
import inspect
from collections.abc import Container, Sequence
from typing import Any

from genret.cli.gin_config import Configuration, Use, leaves
from genret.cli.gin_inputs import given_as
from genret.cli.gin_names import parameters
from genret.cli.gin_reader import Binding, Macro
from genret.cli.gin_types import advice, annotations, describe, fits
from genret.core.errors import ConfigError, suggest

UNSET = "gin.REQUIRED"


def check(
  configuration: Configuration,
  root: Any,
  *,
  filled: Container[str] = (),
  flags: Container[str] = (),
  run_file: str = "",
) -> None:
  """Refuses a configuration that cannot be right.

  Args:
    configuration: All bindings.
    root: The stage's function, whose arguments it describes.
    filled: Parameters of `root` that the command fills in itself.
    flags: Macros that have a plain flag, in lower case, to name in messages.
    run_file: A gin file that configures `root`, to name in messages.

  Raises:
    ConfigError: The first fault found.
  """
  unused = _unused(configuration, root)
  uses = configuration.uses(root)
  if not configuration.bound(root):
    raise ConfigError(
      f"Nothing in the given files configures {_name(root)}; add its run file,"
      f" --gin_file={run_file or 'FILE'}, before them."
    )
  for use in uses:
    for binding in configuration.bound(use.target, use.scope).values():
      if (fault := _unset(configuration, binding)) is not None:
        name, message = fault
        raise ConfigError(f"{message}{_how_to_set(name, unused, flags)}")
  given = given_as(root)
  for use in uses:
    for binding in configuration.bound(use.target, use.scope).values():
      hints = annotations(use.target) if use.target is not root else given
      _check_type(configuration, binding, hints.get(binding.parameter, Any))
  for use in uses:
    _check_complete(configuration, use, filled if use.target is root else ())
  if unused:
    raise ConfigError(_about_unused(unused[0], configuration, root))


def _unset(
  configuration: Configuration, binding: Binding
) -> tuple[str, str] | None:
  """Returns the name of a macro without a value, and what to say of it.

  Looks through all macros that lead on from the binding.
  """
  for leaf in leaves(binding.value):
    if not isinstance(leaf, Macro):
      continue
    if leaf.name == UNSET:
      message = f"{binding.place}: {binding.text} is required and not set."
      return binding.text, message
    macro = configuration.macro(leaf.name)
    if macro is None:
      message = (
        f"{binding.place}: {binding.text} reads {leaf}, which is not set."
      )
      return leaf.name, message
    if (fault := _unset(configuration, macro)) is not None:
      return fault
  return None


def _how_to_set(
  name: str, unused: Sequence[Binding], flags: Container[str]
) -> str:
  """Names the flag, and what was set by a name like it."""
  near = difflib.get_close_matches(
    name, [b.text for b in unused if b.target is None], n=1
  )
  if near:
    return f" {near[0]} is set, but nothing reads it: did you mean {name}?"
  plain = name.lower() if name in flags else f"gin.{name}"
  return f" Set it with --{plain}=VALUE."


def _check_complete(
  configuration: Configuration, use: Use, filled: Container[str]
) -> None:
  """Refuses a call that lacks a parameter without default."""
  if not use.evaluate:
    return
  bound = configuration.bound(use.target, use.scope)
  for name, parameter in parameters(use.target).items():
    optional = parameter.default is not inspect.Parameter.empty
    variadic = parameter.kind in (
      parameter.VAR_KEYWORD,
      parameter.VAR_POSITIONAL,
    )
    if not (optional or variadic or name in bound or name in filled):
      place = f"{use.place}: " if use.place else ""
      raise ConfigError(
        f"{place}{_name(use.target)} needs {name!r}, and nothing sets it; add"
        f" {_name(use.target)}.{name} = …"
      )


def _check_type(
  configuration: Configuration, binding: Binding, expected: Any
) -> None:
  place, value = binding.place, binding.value
  while isinstance(value, Macro):
    macro = configuration.macro(value.name)
    place, value = macro.place, macro.value
  value = _expanded(configuration, value)
  if fits(value, expected):
    return
  through = "" if place == binding.place else f" (set at {binding.place})"
  raise ConfigError(
    f"{place}: {binding.text}{through} must be {describe(expected)}, not"
    f" {_shown(value)}.{advice(value, expected)}"
  )


def _expanded(configuration: Configuration, value: Any) -> Any:
  """Replaces the macros in a value by their values."""
  if isinstance(value, Macro):
    return _expanded(configuration, configuration.macro(value.name).value)
  if isinstance(value, dict):
    return {
      _expanded(configuration, k): _expanded(configuration, v)
      for k, v in value.items()
    }
  if isinstance(value, (list, tuple)):
    return type(value)(_expanded(configuration, item) for item in value)
  return value


def _unused(configuration: Configuration, root: Any) -> list[Binding]:
  """Returns the bindings in force that have no effect, flags first.

  A line whose reader was replaced by a later line (another optimizer, say)
  is no mistake of whoever wrote it, and is let be.
  """
  used = set(map(id, configuration.used(root)))
  idle = [b for b in configuration.final if id(b) not in used]
  if not idle:
    return []
  given = configuration.bindings
  latest: dict[Any, int] = {}
  for number, binding in enumerate(given):
    if binding.key in latest:
      before = configuration.until(number)
      excused = set(map(id, before.used(root)))
      idle = [b for b in idle if b.from_flag or id(b) not in excused]
    latest[binding.key] = number
  return sorted(idle, key=lambda b: not b.from_flag)


def _about_unused(
  binding: Binding, configuration: Configuration, root: Any
) -> str:
  if binding.target is not None:
    return (
      f"{binding.place}: {binding.text} has no effect: {_name(root)} makes no"
      f" use of {_name(binding.target)} here."
    )
  message = f"{binding.place}: the macro {binding.text} has no effect: "
  readers = [
    other.text
    for other in configuration.final
    if binding in configuration.macros_in(other.value)
  ]
  if readers:
    return f"{message}what would read it, {readers[0]}, is not in use here."
  known = [b.text for b in configuration.used(root) if b.target is None]
  return f"{message}nothing reads it.{suggest(binding.text, known)}"


def _name(target: Any) -> str:
  """Returns the last module and the name, as gin files write it."""
  return f"{target.__module__.rsplit('.', 1)[-1]}.{target.__qualname__}"


def _shown(value: Any) -> str:
  return repr(value) if isinstance(value, str) else str(value)
