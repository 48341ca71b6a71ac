"""Inputs of a stage: gin names them by path, the stage wants them opened."""

import functools
import inspect
import operator
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genret.cli.gin_types import annotations


def given_as(stage: Callable[..., Any]) -> dict[str, Any]:
  """Returns the type of each parameter of a stage as gin gives it.

  What can be opened from a path (a `Collection`) is given as text.
  """
  return {name: _given(hint) for name, hint in annotations(stage).items()}


def opened(stage: Callable[..., Any], values: Mapping[str, Any]) -> dict:
  """Opens the inputs of a stage.

  Args:
    stage: The stage's function.
    values: Its arguments; paths are text.

  Returns:
    The arguments, with a `Path` where a path is wanted, and the result of
    `open` or `load` where something that has these is wanted.

  Raises:
    ArtifactError: If an input is no artifact of the wanted kind.
  """
  hints = annotations(stage)
  return {
    name: _open(value, hints.get(name, Any)) for name, value in values.items()
  }


def _given(hint: Any) -> Any:
  if _is_union(hint):
    return functools.reduce(operator.or_, map(_given, typing.get_args(hint)))
  return hint if _opener(hint) is None else str


def _open(value: Any, hint: Any) -> Any:
  if isinstance(value, str):
    arms = typing.get_args(hint) if _is_union(hint) else (hint,)
    openers = [opener for arm in arms if (opener := _opener(arm))]
    return openers[0](value) if openers else value
  if isinstance(value, dict) and len(typing.get_args(hint)) == 2:
    inside = typing.get_args(hint)[1]
    return {key: _open(item, inside) for key, item in value.items()}
  return value


def _opener(hint: Any) -> Callable[[str], Any] | None:
  """Returns how to make what is annotated from a path, if it is made so."""
  if hint is Path:
    return lambda text: Path(text).expanduser()
  if not inspect.isclass(hint):
    return None
  for name in ("open", "load"):
    method = getattr(hint, name, None)
    if inspect.ismethod(method):
      return lambda text, method=method: method(Path(text).expanduser())
  return None


def _is_union(hint: Any) -> bool:
  return typing.get_origin(hint) in (typing.Union, types.UnionType)
