"""Axes, choices and rules; the cells of a study."""

import dataclasses

import pytest

from genret.core.errors import ConfigError
from genret.studies import grid
from genret.studies.grid import Choice, Rule, Study


def names(cells):
  return [cell.name for cell in cells]


def test_every_cell_once_and_the_first_seed_of_all_before_others(study):
  found = names(study.cells())
  assert found == [
    "toy-atomic-labelled-0",
    "toy-atomic-d2q-0",
    "toy-semantic-labelled-0",
    "toy-semantic-d2q-0",
    "other-atomic-labelled-0",
    "other-atomic-d2q-0",
    "toy-atomic-labelled-1",
    "toy-atomic-d2q-1",
    "toy-semantic-labelled-1",
    "toy-semantic-d2q-1",
  ]


def test_budgets_are_those_of_the_last_choice_that_has_one(study, cell_of):
  assert cell_of("labelled").exposures == 100
  assert cell_of("d2q").exposures == 50
  assert cell_of("d2q").minutes is None


def test_flags_come_in_the_order_of_axes_and_rules_last(study, cell_of):
  chosen = cell_of("labelled").chosen
  assert study.flags("train", chosen) == [
    "--gin_file=x_{docids}.gin",
    "--embeddings={vectors}",
  ]
  semantic = cell_of("labelled", docids="semantic").chosen
  assert study.flags("train", semantic) == ["--gin_file=x_{docids}.gin"]


def test_shared_results_depend_on_what_sets_their_flags(study):
  assert study.matters("prepare") == ["collection"]
  assert study.matters("embed") == ["collection"]
  assert study.matters("docids") == ["collection", "docids"]
  assert study.matters("baselines") == ["collection"]


def test_an_axis_in_a_placeholder_matters():
  study = Study(
    axes={
      "inputs": {
        "a": Choice(flags={"docids": ("--gin_file={depth}.gin", "--x={width}")})
      },
      "depth": {"low": Choice(), "high": Choice()},
      "size": {"narrow": Choice(values={"width": "3"})},
      "seen": {"no": Choice()},
    }
  )
  assert study.matters("docids") == ["inputs", "depth", "size"]


def test_filters_add_up_and_their_parts_must_all_hold(study):
  cells = study.cells()
  found = grid.chosen(
    cells, ["collection=toy,docids=atomic,seed=0", "collection=other"]
  )
  assert names(found) == [
    "toy-atomic-labelled-0",
    "toy-atomic-d2q-0",
    "other-atomic-labelled-0",
    "other-atomic-d2q-0",
  ]
  assert grid.chosen(cells, []) == cells


@pytest.mark.parametrize("only", ["docids=atomik", "seed=7", "d2q", ""])
def test_a_filter_that_names_nothing_is_refused(study, only):
  with pytest.raises(ConfigError, match="names no cell.*docids: atomic, sem"):
    grid.chosen(study.cells(), [only])


def test_shards_are_disjoint_and_together_all(study):
  cells = study.cells()
  found = [name for i in "123" for name in names(grid.shard(cells, f"{i}/3"))]
  assert sorted(found) == sorted(names(cells))
  assert len(set(found)) == len(cells)


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "/"])
def test_a_shard_that_cannot_be_is_refused(part):
  with pytest.raises(ConfigError, match="expected i/n"):
    grid.shard([1, 2, 3], part)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"axes": {"seed": {"a": Choice()}}}, "named 'seed'"),
    ({"axes": {"a b": {"a": Choice()}}}, "named 'a b'"),
    ({"axes": {"inputs": {}}}, "has no choice"),
    ({"axes": {"inputs": {"a/b": Choice()}}}, "named 'a/b'"),
    ({"compared": "input"}, "Did you mean 'inputs'"),
    ({"rules": (Rule(when={"docid": "x"}),)}, "Did you mean 'docids'"),
    ({"rules": (Rule(when={"docids": "atomik"}),)}, "Did you mean 'atomic'"),
    ({"seeds": ()}, "needs seeds"),
    ({"exposures": 0.0}, "over 0"),
  ],
)
def test_a_study_that_cannot_be_is_refused(study, changes, message):
  with pytest.raises(ConfigError, match=message):
    dataclasses.replace(study, **changes)


def test_flags_of_no_command_are_refused():
  with pytest.raises(ConfigError, match="Did you mean 'train'"):
    Choice(flags={"trian": ("--x",)})


def test_another_trainer_than_there_are_is_refused():
  with pytest.raises(ConfigError, match="Did you mean 'dual_encoder'"):
    Choice(trainer="dual_encoders")


@pytest.mark.parametrize(
  ("command", "name"), [("resplit", "vectors"), ("filter", "filtered")]
)
def test_flags_that_name_what_is_made_later_are_refused(command, name):
  with pytest.raises(ConfigError, match=f"{command} names {{{name}}}"):
    Choice(flags={command: (f"--x={{{name}}}",)})
