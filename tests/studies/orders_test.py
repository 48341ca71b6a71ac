"""Orders of choices, and who takes no part in them."""

import numpy as np
import pytest

from genret.evaluation.significance import sign_flip_test
from genret.studies import orders
from genret.studies.rows import Row

QUERIES = tuple(f"q{i}" for i in range(40))


def row(docids, inputs, values, hits=1.0, dev=(0.5, 0.5, 0.5)):
  seeds = np.atleast_2d(values)
  return Row(
    chosen={"docids": docids, "inputs": inputs},
    results=[
      {"memorised": {"Hits@1": hits}, "dev": [{"R@1": value} for value in dev]}
      for _ in seeds
    ],
    per_query=[
      {"R@1": dict(zip(QUERIES, one.tolist(), strict=True))} for one in seeds
    ],
    parts={"all": QUERIES},
    memorised=0.95,
  )


LOW = np.tile([0.0, 1.0, 0.0, 0.0], 10)
SAME = np.tile([0.0, 0.0, 1.0, 0.0], 10)
HIGH = np.tile([1.0, 1.0, 1.0, 0.0], 10)


def test_choices_are_ordered_all_else_equal():
  found = orders.orders(
    [
      row("atomic", "labelled", LOW),
      row("semantic", "labelled", HIGH),
      row("atomic", "d2q", [HIGH, HIGH]),
      row("atomic", "firstp", SAME),
    ],
    axis="inputs",
    measure="R@1",
  )
  atomic, semantic = found
  assert atomic.chosen == {"docids": "atomic"}
  assert [(s.better, s.worse) for s in atomic.steps] == [
    ("d2q", "labelled"),
    ("labelled", "firstp"),
  ]
  first = atomic.steps[0].contrast
  assert first.difference.mean == pytest.approx(0.5)
  # Holm over two steps: the least p counts twice.
  assert first.p_corrected == pytest.approx(2 * sign_flip_test(HIGH - LOW))
  assert str(atomic).startswith("atomic: d2q > labelled (+0.500 [")
  assert "≈ firstp (+0.000 [" in str(atomic)
  assert str(semantic) == "semantic: no two choices to put in an order"


def test_rows_that_have_not_learned_their_pairs_order_nothing():
  [found] = orders.orders(
    [
      row("atomic", "labelled", LOW),
      row("atomic", "d2q", HIGH, hits=0.94),
      row("atomic", "firstp", SAME),
    ],
    axis="inputs",
    measure="R@1",
  )
  assert [(s.better, s.worse) for s in found.steps] == [("labelled", "firstp")]
  assert found.left == ["d2q"]
  assert str(found).endswith("; under-trained: d2q")


def test_rows_whose_dev_still_rises_order_nothing():
  rows = [
    row("atomic", "labelled", LOW),
    row("atomic", "d2q", HIGH, dev=(0.5, 0.5, 0.75)),
    row("atomic", "firstp", SAME, dev=()),  # nobody knows
    row("atomic", "daq", HIGH, hits=0.5, dev=(0.5, 0.5, 0.75)),
  ]
  [found] = orders.orders(rows, axis="inputs", measure="R@1")
  assert [(s.better, s.worse) for s in found.steps] == [("labelled", "firstp")]
  assert found.rising == ["d2q"]
  assert str(found).endswith("; under-trained: daq; not at a plateau: d2q")
  [found] = orders.orders(rows, axis="inputs", measure="R@1", plateau=False)
  assert found.steps[0].better == "d2q" and not found.rising


def test_choices_that_answer_different_queries_have_no_order():
  small, large = row("atomic", "1k", LOW), row("atomic", "4k", HIGH)
  fewer = tuple(QUERIES[:20])
  large.parts["all"] = fewer
  [found] = orders.orders([small, large], axis="inputs", measure="R@1")
  assert not found.steps
  assert str(found) == "atomic: no order, as choices answer different queries"
