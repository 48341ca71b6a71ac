"""Choices between settings are made on dev, never on test."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from genret.core.errors import UserError

Setting = TypeVar("Setting")


@dataclass(frozen=True, kw_only=True)
class Choice(Generic[Setting]):
  """The best of several settings.

  Attributes:
    best: The setting with the highest value; the first of equals.
    value: Its value.
    values: The value of each setting, in the order they were given.
  """

  best: Setting
  value: float
  values: Sequence[float]


def refuse_test(split: str) -> str:
  """Return the split, unless its name says that it is for testing.

  >>> refuse_test("dev")
  'dev'

  Raises:
    UserError: The split is a test split.
  """
  if split.strip().casefold().startswith("test"):
    raise UserError(
      f"settings are chosen on dev, never on {split!r}: figures on a split"
      " that chose the settings say nothing about new queries. Choose on 'dev'"
      " (prepare carves one from train where a collection has none)"
    )
  return split


def select(
  settings: Sequence[Setting],
  evaluate: Callable[[Setting], float],
  *,
  split: str,
) -> Choice[Setting]:
  """Return the setting that does best on a split that is not test.

  >>> select([1, 3, 2], lambda x: -abs(x - 2), split="dev").best
  2

  Args:
    settings: What to choose from, in order of preference.
    evaluate: The value of a setting on `split`; higher is better.
    split: Name of the split that `evaluate` looks at.

  Raises:
    UserError: The split is a test split, or there is nothing to choose from.
  """
  refuse_test(split)
  if not settings:
    raise UserError("there are no settings to choose from")
  values = [evaluate(setting) for setting in settings]
  best = max(range(len(values)), key=values.__getitem__)
  return Choice(best=settings[best], value=values[best], values=values)
