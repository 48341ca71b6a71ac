"""What a manifest says of a function that a configuration chose."""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from genret.core.errors import ConfigError, suggest


def described(
  function: Callable[..., Any], *, ignore: tuple[str, ...] = ()
) -> dict[str, Any]:
  """Names a function and every setting it will run with, defaults included.

  >>> def scheme(docnos, *, seed=0, k=10): ...
  >>> import sys; sys.modules["__main__"].scheme = scheme
  >>> scheme.__module__ = "__main__"
  >>> described(functools.partial(scheme, k=30), ignore=("docnos", "seed"))
  {'function': '__main__.scheme', 'k': 30}

  Only what can be seen can be written down, so a function that hides its
  settings (a lambda, a closure, a gin wrapper with bindings inside) is
  refused: two runs that differ would share one identity.

  Args:
    function: a function of a module, or a functools.partial of one.
    ignore: parameters that the caller fills in.

  Returns:
    "function" -> its dotted name, and each setting by name; a setting that
    is itself a function is described the same way, one that has no settings
    by its name alone.

  Raises:
    ConfigError: the function hides its settings, lacks one, or has none of
      a given name.
  """
  settings: dict[str, Any] = {}
  while isinstance(function, functools.partial):
    if function.args:
      raise ConfigError(f"{function} binds settings by position; name them.")
    settings = function.keywords | settings
    function = function.func
  name = _dotted_name(function)
  parameters = inspect.signature(function).parameters
  for key in settings:
    if key not in parameters:
      known = set(parameters) - set(ignore)
      raise ConfigError(f"{name} has no setting {key!r}.{suggest(key, known)}")
  for key, parameter in parameters.items():
    if key in ignore:
      continue
    value = settings.setdefault(key, parameter.default)
    if value is inspect.Parameter.empty:
      raise ConfigError(f"{name} needs a value for {key!r}; none was given.")
  found = {
    key: _inner(value, ignore) if callable(value) else value
    for key, value in sorted(settings.items())
  }
  return {"function": name, **found}


def _inner(
  function: Callable[..., Any], ignore: tuple[str, ...]
) -> dict[str, Any] | str:
  found = described(function, ignore=ignore)
  return found if len(found) > 1 else found["function"]


def _dotted_name(function: Callable[..., Any]) -> str:
  """Returns module and name, if these do lead to the very function."""
  module = getattr(function, "__module__", None)
  name = getattr(function, "__qualname__", None)
  found: Any = sys.modules.get(module or "")
  for part in (name or "").split("."):
    found = getattr(found, part, None)
  if found is None or found is not function:
    raise ConfigError(
      f"{function!r} hides its settings, so no manifest could tell what it"
      " does. Give a function of a module, or a functools.partial of one."
    )
  return f"{module}.{name}"
