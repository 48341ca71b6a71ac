"""Published figures, and the cells of the studies that mirror them."""

import pytest

from genret.cli import gin_setup
from genret.core.errors import UserError
from genret.studies import published, study

PAPER = "Pradeep et al., EMNLP 2023 (arXiv 2305.11841)"
STUDIES = {
  "table2": {"2"},
  "table3": {"3", "4"},
  "queries": {"number of queries"},
}


def cells(name):
  file = f"studies/scaling_paper/{name}.gin"
  given = [gin_setup.Setting(name="WORKDIR", value="'w'", flag="--workdir")]
  return gin_setup.load([file], given).build(study.run)["study"].cells()


def of_tables(names):
  return [
    figure
    for figure in published.figures()
    if figure.source == PAPER and figure.table in names and not figure.is_system
  ]


@pytest.mark.parametrize("name", ["table2", "table3"])
def test_every_row_of_a_table_has_one_cell(name):
  found = cells(name)
  for figure in of_tables(STUDIES[name]):
    fitting = [cell.name for cell in found if figure.fits(cell.chosen)]
    assert len(fitting) == 1, figure


@pytest.mark.parametrize("name", list(STUDIES))
def test_cells_beside_nothing_published_are_few(name):
  """A grid has no cell that no table asks for, but for the sweep's."""
  lonely = [
    cell.name for cell in cells(name) if not published.expected(cell.chosen)
  ]
  sweep = {f"msmarco-100k-atomic-6b-{n}-0" for n in (1, 5, 10, 20)}
  assert set(lonely) == (sweep if name == "queries" else set())


def test_values_are_those_of_the_papers():
  chosen = {"collection": "msmarco", "rung": "full", "row": "6b"}
  naive = {**chosen, "docids": "naive"}
  assert [f["value"] for f in published.expected(naive)] == [0.133]
  large = {**naive, "size": "large"}
  assert [f["value"] for f in published.expected(large)] == [0.214]
  many = {**chosen, "rung": "100k", "docids": "atomic", "num_queries": "100"}
  [found] = published.expected(many)
  assert found["value"] == 0.824
  assert found["collection"] == "msmarco-100k"
  assert found["measure"] == "RR@10"


def test_a_cell_of_another_collection_or_row_has_none():
  chosen = {"collection": "nq100k", "docids": "atomic", "row": "3b"}
  assert published.expected(chosen)
  for axis in chosen:
    assert not published.expected({**chosen, axis: "other"})
    fewer = {name: v for name, v in chosen.items() if name != axis}
    assert not published.expected(fewer)


def test_other_systems_are_no_cells():
  found = {f.row: f.value for f in published.systems("msmarco", "full")}
  assert found["PAG"] in (0.385, 0.670) and "GTR-Base" in found
  assert published.systems("nq100k")
  with pytest.raises(UserError, match="Did you mean 'nq100k'"):
    published.systems("nq10k")


def test_all_are_shares():
  every = published.figures()
  assert all(0 <= figure.value <= 1 for figure in every)
  assert len(
    {(f.source, f.table, f.row, str(f.of), f.measure) for f in every}
  ) == len(every)
