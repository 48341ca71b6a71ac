import csv
import io

from genret.studies import report_csv


def test_every_cell_has_a_line_with_its_own_figures(study_results):
  results = study_results()
  lines = list(csv.DictReader(io.StringIO(report_csv.as_csv(results))))
  assert len(lines) == sum(row.num_cells for row in results.rows) == 10
  bm25, first, second = lines[:3]
  assert bm25["baseline"] == "BM25" and bm25["seed"] == bm25["cell"] == ""
  assert bm25["run"].endswith("BM25/run.trec")
  assert [first["seed"], second["seed"]] == ["0", "1"]
  found = results.rows[1].figure("RR@10", "uncovered").per_seed
  names = [float(line["uncovered RR@10"]) for line in (first, second)]
  assert tuple(names) == found
  assert first["cell"] == "cells/debian_pkg-1k-0-atomic-d2q_labelled-0"
  assert first["flops query"] == "300000000.0"
  assert first["under_trained"] == "False" and bm25["under_trained"] == ""
