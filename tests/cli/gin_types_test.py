import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import pytest

from genret.cli import gin_types
from genret.cli.gin_reader import Reference
from genret.training.losses import Loss


class Searcher(Protocol):
  def search(self, query: str) -> list[str]: ...


def make_loss() -> Loss:
  return Loss()


def make_something():
  return 3


def reference(target, *, evaluate):
  return Reference(text=target.__name__, target=target, evaluate=evaluate)


@pytest.mark.parametrize(
  ("value", "expected"),
  [
    (3, int),
    (3, float),
    (3, int | None),
    (None, int | None),
    ("a", str),
    ("a", pathlib.Path),
    ("a", Literal["a", "b"]),
    ([1, 2], list[int]),
    ([1, 2], Sequence[int]),
    ((1, 2), Sequence[int]),
    ((1, "a"), tuple[int, str]),
    ((), tuple[int, ...]),
    ({"a": [1]}, Mapping[str, list[int]]),
    ({"a": 1}, dict[str, Any]),
    ({"a": 1}, dict),
    ([1], Any),
    (reference(Loss, evaluate=True), Loss),
    (reference(Loss, evaluate=True), Loss | None),
    (reference(Loss, evaluate=False), Callable[..., Loss]),
    (reference(Loss, evaluate=False), type[Loss]),
    (reference(make_loss, evaluate=True), Loss),
    (reference(make_something, evaluate=True), Loss),
    (reference(make_loss, evaluate=False), Callable),
    (reference(make_loss, evaluate=False), Searcher),
    ([reference(Loss, evaluate=True)], Sequence[Loss]),
  ],
)
def test_fits(value, expected):
  assert gin_types.fits(value, expected)


@pytest.mark.parametrize(
  ("value", "expected"),
  [
    (True, int),
    (True, float),
    (1, bool),
    (1.0, int),
    ("1", int),
    (1, str),
    (1, pathlib.Path),
    (None, int),
    ("c", Literal["a", "b"]),
    (True, Literal[1]),
    ([1, "a"], list[int]),
    ("ab", Sequence[str]),
    ([1], tuple[int, ...]),
    ((1,), tuple[int, int]),
    ({"a": 1}, Mapping[str, str]),
    ([("a", 1)], Mapping[str, int]),
    (3, Callable[..., int]),
    (3, Searcher),
    (3, Loss),
    (reference(Loss, evaluate=False), Loss),
    (reference(Loss, evaluate=True), int),
    (reference(Loss, evaluate=True), Callable[..., int]),
    (reference(make_loss, evaluate=True), str),
    (reference(make_loss, evaluate=False), int | None),
    ([reference(Loss, evaluate=False)], Sequence[Loss]),
  ],
)
def test_does_not_fit(value, expected):
  assert not gin_types.fits(value, expected)


def test_annotations_of_functions_dataclasses_and_classes():
  assert gin_types.annotations(make_loss) == {"return": Loss}
  assert gin_types.annotations(Loss)["z_loss"] is float
  assert gin_types.annotations(pathlib.PurePath) == {}


@pytest.mark.parametrize(
  ("value", "expected", "advice"),
  [
    ("true", bool, " Write True."),
    (10.0, int, " Write 10."),
    (5, str, " Write it in quotes: '5'."),
    ([1], tuple[int, ...], " Write (…) for […]."),
    (reference(Loss, evaluate=False), Loss, " Did you mean @Loss()?"),
    ("ten", int, ""),
  ],
)
def test_advice(value, expected, advice):
  assert gin_types.advice(value, expected) == advice
