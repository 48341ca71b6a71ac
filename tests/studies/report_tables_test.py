from genret.studies import report_tables


def test_a_table_for_each_rung_with_its_baseline(study_results):
  results = study_results()
  small, large = report_tables.quality(results)
  assert small.title == (
    "rung 1k: 1,000 documents, test queries: 1,000 all, 500 covered,"
    " 500 uncovered"
  )
  assert [line.cells[0].text for line in small.lines] == [
    "BM25",
    "atomic",
    "semantic",
  ]
  assert large.title.startswith("rung 4k: 4,000 documents")
  assert small.head == [
    *("row", "RR@10", "R@10", "covered RR@10", "uncovered RR@10"),
    *("runs", "knows beforehand"),
  ]
  bm25, atomic, _ = small.lines
  assert bm25.cells[-1].text == "–"
  assert atomic.cells[-1].text == "nothing: from scratch"


def test_figures_lead_to_their_runs(study_results):
  results = study_results()
  bm25, atomic, _ = report_tables.quality(results)[0].lines
  assert bm25.cells[1].href == results.rows[0].runs[0]
  assert atomic.cells[1].href == "#row-2"
  assert [link.href for link in atomic.cells[-2].links] == list(
    results.rows[1].runs
  )


def test_every_cell_leads_to_its_run(study_results):
  results = study_results()
  table = report_tables.cells(results)
  assert [line.anchor for line in table.lines[:4]] == [
    "row-1",
    "row-2",
    "",
    "row-3",
  ]
  first, second = table.lines[1:3]
  for i, line in enumerate((first, second)):
    run = results.rows[1].runs[i]
    figures = line.cells[2:-1]
    assert {cell.href for cell in figures} == {run}
    assert line.cells[-1].links[0].href == run
  assert first.cells[2].text == f"{results.rows[1].of_seed(0, 'RR@10'):.3f}"


def test_runs_that_are_gone_are_no_links(study_results):
  results = study_results()
  for row in results.rows:
    for run in row.runs:
      (results.folder / run).unlink()
  for line in report_tables.cells(results).lines:
    assert not any(cell.href or cell.links for cell in line.cells)
  assert report_tables.quality(results)[0].lines[0].cells[1].href == "#row-1"


def test_under_trained_rows_are_marked_everywhere(study_results):
  def change(raw):
    raw["rows"][1]["under_trained"] = True

  results = study_results(change)
  training = report_tables.training(results).lines[0].cells
  assert training[0].mark == "†" and training[-3].note == "under-trained"
  assert report_tables.quality(results)[0].lines[1].cells[1].mark == "†"
  assert report_tables.cells(results).lines[1].cells[0].mark == "†"
