"""Compares values in gin files with the annotations of what receives them.

gin passes on whatever it is given: a step count of `'ten'` fails hours later,
or never. Here a literal must be of the annotated type, an evaluated reference
must make it, and a plain reference must be wanted as a function.
"""

import collections.abc
import dataclasses
import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from genret.cli.gin_reader import Reference

_CALLABLES = (collections.abc.Callable, type)
_SEQUENCES = (collections.abc.Sequence, collections.abc.Iterable)
_MAPPINGS = (collections.abc.Mapping, dict)


def annotations(target: Any) -> Mapping[str, Any]:
  """Returns the type of each parameter of a function or class.

  Parameters without one, or with one that cannot be evaluated, are left out.
  """
  if inspect.isclass(target) and not dataclasses.is_dataclass(target):
    target = target.__init__
  try:
    return typing.get_type_hints(target)
  except (AttributeError, NameError, TypeError):
    return {}


def fits(value: Any, expected: Any) -> bool:
  """Says whether a value may be passed where a type is expected.

  >>> fits(3, float), fits(3.0, int), fits(True, int), fits("x", int | None)
  (True, False, False, False)
  >>> fits((1, 2), tuple[int, ...]), fits({"inputs": "9"}, Mapping[str, int])
  (True, False)

  Args:
    value: A literal, a `Reference`, or a container of them.
    expected: An annotation.
  """
  origin = typing.get_origin(expected)
  if origin in (typing.Union, types.UnionType):
    return any(fits(value, arm) for arm in typing.get_args(expected))
  if origin is typing.Literal:
    return any(
      value == arm and type(value) is type(arm)
      for arm in typing.get_args(expected)
    )
  if isinstance(expected, typing.NewType):
    return fits(value, expected.__supertype__)
  if isinstance(value, Reference):
    return _reference_fits(value, expected)
  if origin is not None:
    return _container_fits(value, origin, typing.get_args(expected))
  return _literal_fits(value, expected)


def describe(expected: Any) -> str:
  """Words an annotation for a message.

  >>> describe(int | None), describe(typing.Literal["raw", "dot"])
  ('int or None', "'raw' or 'dot'")
  """
  origin, arms = typing.get_origin(expected), typing.get_args(expected)
  if origin in (typing.Union, types.UnionType):
    return " or ".join(describe(arm) for arm in arms)
  if origin is typing.Literal:
    return " or ".join(repr(arm) for arm in arms)
  if expected in (None, type(None)):
    return "None"
  if origin in _CALLABLES or expected in _CALLABLES or expected is Callable:
    return "a function (@module.name)"
  if dataclasses.is_dataclass(expected):
    return f"{expected.__name__} (@module.{expected.__name__}())"
  if origin is None and inspect.isclass(expected):
    return expected.__name__
  return str(expected).replace("typing.", "").replace("collections.abc.", "")


def advice(value: Any, expected: Any) -> str:
  """Returns a sentence on how the value was probably meant, or ""."""
  if isinstance(value, str):
    for meant in (value.capitalize(), value):
      literal = _LITERALS.get(meant)
      if literal is not None and fits(literal, expected):
        return f" Write {literal}."
    return ""
  if isinstance(value, float) and value.is_integer() and fits(1, expected):
    return f" Write {int(value)}."
  if fits(str(value), expected) and not isinstance(value, Reference):
    return f" Write it in quotes: '{value}'."
  if isinstance(value, list) and fits(tuple(value), expected):
    return " Write (…) for […]."
  if isinstance(value, Reference):
    turned = dataclasses.replace(value, evaluate=not value.evaluate)
    return f" Did you mean {turned}?" if fits(turned, expected) else ""
  return ""


_LITERALS = {"True": True, "False": False}


def _reference_fits(value: Reference, expected: Any) -> bool:
  """Compares what a reference stands for: a function, or what it returns."""
  if _unchecked(expected) or _is_protocol(expected):
    return True
  origin = typing.get_origin(expected) or expected
  if not value.evaluate:
    return origin in _CALLABLES
  made = value.target
  if not inspect.isclass(made):
    made = annotations(made).get("return", Any)
    made = typing.get_origin(made) or made
  if _unchecked(made) or not inspect.isclass(origin):
    return True
  if origin in _CALLABLES:
    return any("__call__" in vars(base) for base in made.__mro__)
  return issubclass(made, origin)


def _container_fits(value: Any, origin: Any, arms: tuple[Any, ...]) -> bool:
  if origin in _CALLABLES:
    return False
  if origin is tuple:
    if not isinstance(value, tuple):
      return False
    if len(arms) == 2 and arms[1] is Ellipsis:
      return all(fits(item, arms[0]) for item in value)
    return len(value) == len(arms) and all(map(fits, value, arms))
  if origin in _MAPPINGS:
    return isinstance(value, dict) and all(
      fits(key, arms[0]) and fits(item, arms[1]) for key, item in value.items()
    )
  if origin is list or origin in _SEQUENCES:
    wanted = list if origin is list else (list, tuple)
    return isinstance(value, wanted) and all(
      fits(item, arms[0]) for item in value
    )
  return not inspect.isclass(origin) or isinstance(value, origin)


def _literal_fits(value: Any, expected: Any) -> bool:
  if _unchecked(expected):
    return True
  if expected in (None, type(None)):
    return value is None
  if expected in _CALLABLES or _is_protocol(expected):
    return False
  if inspect.isclass(expected) and issubclass(expected, os.PathLike):
    return isinstance(value, str)
  if expected is float:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
  if expected is int:
    return isinstance(value, int) and not isinstance(value, bool)
  return isinstance(value, expected)


def _unchecked(expected: Any) -> bool:
  """Says whether an annotation names no class to compare with."""
  if expected in (Any, object, inspect.Parameter.empty):
    return True
  origin = typing.get_origin(expected) or expected
  return not inspect.isclass(origin) and origin not in (None,)


def _is_protocol(expected: Any) -> bool:
  return bool(getattr(expected, "_is_protocol", False)) and not (
    expected in _CALLABLES or expected in (*_SEQUENCES, *_MAPPINGS)
  )
