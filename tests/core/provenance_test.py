import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.core.provenance import canonical, provenance


@dataclasses.dataclass
class Settings:
  depth: int = 2
  shape: tuple = (1, 2)


def test_canonical_values_are_plain():
  value = {
    "settings": Settings(),
    "number": np.float64(0.5),
    "function": functools.partial(canonical, name="x"),
    "class": Settings,
    1: None,
  }
  assert canonical(value) == {
    "settings": {"depth": 2, "shape": [1, 2]},
    "number": 0.5,
    "function": {"genret.core.provenance.canonical": {"name": "x"}},
    "class": f"{__name__}.Settings",
    "1": None,
  }


def test_a_path_is_refused_by_its_place():
  with pytest.raises(ConfigError, match=r"arguments\.files\[0\] is .*Path"):
    canonical({"files": [Path("/data")]})


def test_anything_else_is_refused():
  with pytest.raises(ConfigError, match="cannot stand in a manifest"):
    canonical({"what": object()})


def test_provenance_tells_when_where_and_how():
  record = provenance(started=0.0, gin_text="A = 1\n")
  assert record["started"] == "1970-01-01T00:00:00Z"
  assert record["gin"] == "A = 1\n"
  assert record["seconds"] > 0
  assert {"genret", "numpy", "python"} <= record["versions"].keys()
  assert record["host"]
  assert record["command"]


def test_a_later_field_is_told_only_where_it_is_used():
  @dataclasses.dataclass(frozen=True)
  class Settings:
    size: int = 3
    later: float = dataclasses.field(default=0.0, metadata={"unless_set": True})

  assert canonical(Settings()) == {"size": 3}
  assert canonical(Settings(later=0.5)) == {"size": 3, "later": 0.5}
