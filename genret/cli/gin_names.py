"""Resolves the names in gin files to functions and classes.

The rules are gin's own (a file sees what it imports; the command line sees
everything the files know, by the end of its name); the complaints are ours,
with the place and the nearest name that exists.
"""

import dataclasses
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import gin
from gin import config_parser

from genret.core.errors import ConfigError, suggest

DYNAMIC_REGISTRATION = "__gin__.dynamic_registration"
_BUILTINS = SimpleNamespace(macro=gin.config.macro)


@dataclasses.dataclass(frozen=True)
class Seen:
  """What the files of one run have named, for the command line to name too.

  Attributes:
    imports: Every import statement, in order.
    targets: Full name -> function or class.
  """

  imports: list[config_parser.ImportStatement] = dataclasses.field(
    default_factory=list
  )
  targets: dict[str, Any] = dataclasses.field(default_factory=dict)


class Names:
  """What selectors mean in one file, or on the command line."""

  def __init__(self, seen: Seen):
    self._seen = seen
    self._symbols: dict[str, Any] = {}

  @classmethod
  def of_flags(cls, seen: Seen) -> "Names":
    """Returns the names that all files together have imported."""
    names = cls(Seen(targets=seen.targets))
    names._symbols["gin"] = _BUILTINS
    for statement in seen.imports:
      names.add_import(statement, place="")
    return names

  def add_import(
    self, statement: config_parser.ImportStatement, place: str
  ) -> None:
    """Imports what a statement asks for and binds its name.

    Raises:
      ConfigError: If the module does not exist or cannot be imported.
    """
    if statement.module == DYNAMIC_REGISTRATION:
      self._symbols["gin"] = _BUILTINS
      return
    module = _imported(statement.module, place)
    plain = not statement.is_from and not statement.alias
    if plain:  # `import a.b` binds a.
      module = importlib.import_module(statement.module.split(".")[0])
    self._symbols[statement.bound_name()] = module
    self._seen.imports.append(statement)

  def resolve(self, selector: str, place: str) -> Any:
    """Returns the function or class that a selector means.

    Args:
      selector: Dotted, without scopes.
      place: Where it stands, to open an error with.

    Raises:
      ConfigError: If nothing bears that name; names the nearest.
    """
    first, *rest = selector.split(".")
    if first in self._symbols:
      target = _attribute(self._symbols[first], rest, place=place)
    else:
      target = self._by_suffix(selector, place)
    if isinstance(target, ModuleType) or not callable(target):
      raise ConfigError(
        f"{place}: {selector} is no function and no class, so nothing of it"
        " can be set."
      )
    self._seen.targets[full_name(target)] = target
    return target

  def path_to(self, target: Any) -> str | None:
    """Returns a selector that leads to a target by what is imported."""
    for symbol, value in self._symbols.items():
      if getattr(value, "__name__", None) == target.__module__:
        return f"{symbol}.{target.__qualname__}"
    return None

  def _by_suffix(self, selector: str, place: str) -> Any:
    found = {
      name: target
      for name, target in self._seen.targets.items()
      if f".{name}".endswith(f".{selector}")
    }
    if len(found) == 1:
      return next(iter(found.values()))
    if found:
      raise ConfigError(
        f"{place}: {selector} may mean {' or '.join(sorted(found))}; write"
        " more of it."
      )
    if target := _registered(selector):
      return target
    short = {name.rsplit(".", 1)[-1] for name in self._seen.targets}
    known = set(self._symbols) | short
    raise ConfigError(
      f"{place}: no import provides {selector}."
      f"{suggest(selector.split('.')[0], known)}"
    )


def full_name(target: Any) -> str:
  """Returns the dotted name under which a function or class is defined."""
  return f"{target.__module__}.{target.__qualname__}"


def parameters(target: Any) -> Mapping[str, inspect.Parameter]:
  """Returns the parameters of a function, or of a class's constructor."""
  return inspect.signature(target).parameters


def check_parameter(
  target: Any, selector: str, name: str, *, place: str
) -> None:
  """Refuses a parameter that the target does not have.

  Raises:
    ConfigError: Names the nearest parameter.
  """
  given = parameters(target)
  takes_any = any(p.kind is p.VAR_KEYWORD for p in given.values())
  if name not in given and not takes_any:
    raise ConfigError(
      f"{place}: {selector} has no parameter {name!r}.{suggest(name, given)}"
    )


def _attribute(value: Any, path: list[str], *, place: str) -> Any:
  for name in path:
    if not hasattr(value, name):
      raise ConfigError(
        f"{place}: {_name_of(value)} has no {name!r}."
        f"{suggest(name, _public(value))}"
      )
    value = getattr(value, name)
  return value


def _imported(name: str, place: str) -> ModuleType:
  try:
    return importlib.import_module(name)
  except ModuleNotFoundError as error:
    missing = error.name or ""
    if not (name + ".").startswith(missing + "."):
      raise ConfigError(
        f"{place}: importing {name} needs the package {missing}, which is not"
        " installed."
      ) from error
    parent, _, last = missing.rpartition(".")
    siblings = list(_submodules(parent)) if parent else []
    raise ConfigError(
      f"{place}: no module {name}.{suggest(last, siblings)}"
    ) from error
  except ImportError as error:
    raise ConfigError(f"{place}: cannot import {name}: {error}") from error


def _submodules(package: str) -> Iterator[str]:
  spec = importlib.util.find_spec(package)
  for folder in (spec and spec.submodule_search_locations) or ():
    yield from (module.name for module in pkgutil.iter_modules([folder]))


def _registered(selector: str) -> Any:
  """Returns what a user's own module registered by a decorator of gin's."""
  try:
    return inspect.unwrap(gin.get_configurable(selector))
  except (KeyError, ValueError):
    return None


def _public(value: Any) -> list[str]:
  """Lists what a module defines or a class offers."""
  return [
    name
    for name, member in vars(value).items()
    if not name.startswith("_")
    and callable(member)
    and getattr(member, "__module__", "").startswith(_root(value))
  ]


def _root(value: Any) -> str:
  return _name_of(value).split(".")[0]


def _name_of(value: Any) -> str:
  return getattr(value, "__name__", repr(value))
