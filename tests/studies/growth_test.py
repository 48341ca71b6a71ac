"""Slopes of a study."""

import numpy as np
import pytest

from genret.studies import growth
from genret.studies.grid import Choice, Study
from genret.studies.rows import Row

SIZES = {"1k": 1000, "2k": 2000, "4k": 4000, "8k": 8000, "16k": 16_000}
QUERIES = tuple(f"q{i}" for i in range(30))


def study():
  prepare = Choice(flags={"prepare": ("--source=toy",)})
  return Study(
    axes={
      "corpus": {"toy": prepare},
      "rung": {
        name: Choice(flags={"ladder": (f"--rungs={size}",)})
        for name, size in SIZES.items()
      },
      "inputs": {"d2q": Choice(), "daq": Choice()},
    },
    measures=("R@1",),
  )


def row(rung, value, *, name="", hits=1.0, queries=QUERIES):
  own = {} if name else {"inputs": "d2q"}
  return Row(
    chosen={"corpus": "toy", "rung": rung, **own},
    name=name,
    results=() if name else [{"memorised": {"Hits@1": hits}, "dev": []}],
    per_query=[{"R@1": dict.fromkeys(queries, value)}],
    parts={"all": queries},
    memorised=0.95,
    documents=SIZES[rung],
  )


def line(name=""):
  return [
    row(rung, 1.0 - 0.1 * np.log10(size), name=name)
    for rung, size in SIZES.items()
  ]


def test_five_rungs_have_a_slope_and_so_have_baselines():
  assert growth.axis(study()) == "rung"
  found = growth.of(study(), [*line("bm25"), *line()])
  assert [(s.name, dict(s.of)) for s in found.slopes] == [
    ("bm25", {"corpus": "toy"}),
    ("", {"corpus": "toy", "inputs": "d2q"}),
  ]
  assert found.slopes[1].a_decade.mean == pytest.approx(-0.1)
  assert found.slopes[1].rungs == 5 and found.not_fitted == []
  assert str(found.slopes[0]) == (
    "toy, bm25: R@1 -0.100 [-0.100, -0.100] a decade, over 5 rungs"
  )


def test_fewer_rungs_are_not_fitted():
  found = growth.of(study(), [*line("bm25")[:2], *line()[:2]])
  assert found.slopes == []
  assert found.not_fitted == [
    "a slope needs 5 rungs of different sizes; 2 came: toy bm25; toy d2q"
  ]


def test_rows_that_are_not_ready_are_no_rungs():
  rows = [*line()[:4], row("16k", 0.5, hits=0.5)]
  [why] = growth.of(study(), rows).not_fitted
  assert why.startswith("a slope needs 5 rungs of different sizes; 4 came")
  unready = [row("1k", 0.5, hits=0.5)]
  assert "0 came" in growth.of(study(), unready).not_fitted[0]


def test_rungs_of_other_queries_are_not_fitted():
  rows = [*line()[:4], row("16k", 0.5, queries=QUERIES[:20])]
  assert growth.of(study(), rows).not_fitted == [
    "rungs answer different queries: toy d2q"
  ]


def test_a_study_without_rungs_has_no_slopes(worker):
  assert growth.axis(worker.layout.study) is None
  assert growth.of(worker.layout.study, []) == growth.Growth()
