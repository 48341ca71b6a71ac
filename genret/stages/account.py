"""What the accounts of all kinds of models have in common."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from genret.core.collection import Collection, Query
from genret.models.compiled_flops import compiled_flops
from genret.models.flops import flops

FLOAT32 = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
  """How queries are searched.

  Attributes:
    k: Documents a query.
    num_beams: Docids kept a step; None for `k`.
    checkpoint: `best`, `newest`, or a step.
    scoring: Of docids; None for the model's own way.
  """

  k: int = 10
  num_beams: int | None = None
  checkpoint: str | int = "best"
  scoring: str | None = None

  @property
  def beams(self) -> int:
    """Docids kept a step."""
    return self.num_beams or self.k


@dataclasses.dataclass(frozen=True, kw_only=True)
class CountedStep(abc.ABC):
  """A training step as shapes, to be counted and never run."""

  @abc.abstractmethod
  def program(self) -> tuple[Any, ...]:
    """Returns the step and the shapes of its arguments."""

  @property
  @abc.abstractmethod
  def rows(self) -> int:
    """Of a batch."""

  @abc.abstractmethod
  def formula(self) -> int:
    """Returns what is commonly written of its operations."""

  def counted(self) -> int:
    """Counts the products of the traced step."""
    return flops(*self.program())

  def compiled(self) -> float | None:
    """Counts what XLA makes of it; None where products stand in loops."""
    return compiled_flops(*self.program())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Account(abc.ABC):
  """A finished model folder, to be counted and timed.

  Attributes:
    folder: Of the model.
    collection: The model's own.
    spec: What the folder says of the model.
    step: A step of its training.
  """

  folder: Path
  collection: Collection
  spec: Any
  step: CountedStep

  @property
  def scheme(self) -> str:
    """Names the kind of model."""
    return self.spec.scheme

  @abc.abstractmethod
  def parameters(self) -> dict[str, int]:
    """Counts parameters by part, `all` of them, and those `trained`."""

  @abc.abstractmethod
  def query(self, search: Search, *, compiled: bool) -> dict[str, Any]:
    """Counts the search of the longest query; shorter ones take less.

    Args:
      search: How.
      compiled: Whether programs are compiled, to be counted as well.
    """

  @abc.abstractmethod
  def opened(self, search: Search) -> Callable[[Sequence[Query]], Any]:
    """Loads the model; returns what searches queries.

    Raises:
      UserError: If the documents are not the model's.
    """

  @abc.abstractmethod
  def index_bytes(self) -> dict[str, int]:
    """Returns bytes of what a search reads besides weights: parts, `index`."""

  def sizes(self) -> dict[str, int]:
    """Returns the bytes of weights in float32, and of the index."""
    weights = FLOAT32 * self.parameters()["all"]
    return {"weights": weights, **self.index_bytes()}


def file_bytes(folder: Path) -> int:
  """Returns the bytes of all files below a folder."""
  files = (path for path in folder.rglob("*") if path.is_file())
  return sum(path.stat().st_size for path in files)
