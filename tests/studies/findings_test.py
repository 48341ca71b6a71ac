"""What a study has found, together."""

from genret.studies import findings


def test_rows_contrasts_and_orders_are_of_finished_cells(
  study, worker, finish, cell_of, write_run, tmp_path
):
  study.contrasts["inputs"] = ("inputs=d2q", "inputs=labelled")
  study.contrasts["words"] = ("inputs=d2q", "baseline=bm25")
  write_run(tmp_path / "run.trec", [1, 1, 1, 2])
  study.systems["bm25"] = {"collection=toy": str(tmp_path / "run.trec")}
  finish(cell_of(), [1, 1, 2, 2])
  finish(cell_of("d2q"), [1, 1, 1, 1])
  found = findings.of(worker, study.cells())
  assert [row.name for row in found.every] == ["bm25", "", ""]
  asked, words = found.asked.contrasts
  assert asked.pair.name == "inputs" and asked.named_before
  assert words.pair.b.name == "bm25"
  [order] = found.orders
  assert order.steps[0].better == "d2q"
  assert not order.steps[0].contrast.named_before
  assert found.growth.slopes == ()
