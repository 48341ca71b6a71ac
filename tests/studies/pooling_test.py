"""Folds together."""

import dataclasses

import pytest

from genret.core.errors import ConfigError
from genret.studies import pooling
from genret.studies.grid import Choice, Study
from genret.studies.rows import Row


def study(**settings):
  axes = {"fold": ("1", "2"), "inputs": ("d2q", "daq")}
  return Study(
    axes={axis: {n: Choice() for n in names} for axis, names in axes.items()},
    **{"pooled": "fold", **settings},
  )


def row(fold, values, *, seeds=(0,), inputs="d2q", name=""):
  """A row of a fold: figures [seeds, queries] of queries q1 ... of its own."""
  queries = [f"{fold}-q{i}" for i in range(len(values[0]))]
  settings = {} if name else {"inputs": inputs}
  return Row(
    chosen={"fold": fold, **settings},
    name=name,
    results=[] if name else [{"memorised": {"Hits@1": 1.0}} for _ in seeds],
    per_query=[{"R@1": dict(zip(queries, one, strict=True))} for one in values],
    parts={"all": tuple(queries), "covered": tuple(queries[:1])},
    clusters=dict.fromkeys(queries, ("title", "Ships")),
    seeds=() if name else seeds,
    runs=[f"{fold}/{seed}" for seed in seeds],
    synthetic_queries=float(fold),
  )


def test_a_row_has_the_queries_of_all_folds():
  first = row("1", [[1.0, 0.0], [1.0, 1.0]], seeds=(0, 1))
  second = row("2", [[0.0], [1.0]], seeds=(0, 1))
  [found] = pooling.pooled(study(), [first, second])
  assert found.chosen == {"inputs": "d2q"} and found.seeds == [0, 1]
  assert found.parts == {
    "all": ("1-q0", "1-q1", "2-q0"),
    "covered": ("1-q0", "2-q0"),
  }
  assert found.values("R@1", "all").tolist() == [[1, 0, 0], [1, 1, 1]]
  assert found.figure("R@1", "all").interval.mean == pytest.approx(4 / 6)
  assert found.figure("R@1", "all").clusters == 1  # one article in both folds
  assert found.runs == ["1/0", "2/0", "1/1", "2/1"]  # a seed's folds together
  assert len(found.results) == 4 and found.synthetic_queries == 1.5


def test_seeds_are_those_of_all_folds():
  first = row("1", [[1.0], [0.0]], seeds=(0, 1))
  second = row("2", [[0.5]], seeds=(1,))
  [found] = pooling.pooled(study(), [first, second])
  assert found.seeds == [1] and found.runs == ["1/1", "2/1"]
  assert found.values("R@1", "all").tolist() == [[0.0, 0.5]]


def test_baselines_are_pooled_by_name():
  given = [
    row(fold, [[0.5]], name=name)
    for name in ("bm25", "dense")
    for fold in ("1", "2")
  ]
  found = pooling.pooled(study(), given)
  assert [(one.name, one.chosen) for one in found] == [
    ("bm25", {}),
    ("dense", {}),
  ]
  assert found[0].runs == ["1/0", "2/0"]


def test_rows_stay_apart_until_every_fold_has_figures():
  lone = [row("1", [[1.0]]), row("1", [[0.0]], inputs="daq")]
  assert pooling.pooled(study(), lone) == lone
  every = [*lone, row("2", [[1.0]])]
  found = pooling.pooled(study(), every)
  assert [one.chosen for one in found] == [
    {"inputs": "d2q"},
    {"fold": "1", "inputs": "daq"},
  ]


def test_nothing_is_pooled_unless_it_is_asked():
  rows = [row("1", [[1.0]]), row("2", [[1.0]])]
  assert pooling.pooled(study(pooled=""), rows) == rows
  other = dataclasses.replace(rows[0], chosen={"inputs": "d2q"})
  assert pooling.pooled(study(), [other, other]) == [other, other]


def test_folds_ask_queries_of_their_own():
  one = row("1", [[1.0]])
  same = dataclasses.replace(one, chosen={**one.chosen, "fold": "2"})
  with pytest.raises(
    ConfigError, match="over fold, and two of its choices ask"
  ):
    pooling.pooled(study(), [one, same])


def test_a_pooled_axis_is_one_and_not_compared():
  with pytest.raises(ConfigError, match="pooled names 'folds'.*fold"):
    study(pooled="folds")
  with pytest.raises(ConfigError, match="'inputs' is pooled and compared"):
    study(pooled="inputs")
