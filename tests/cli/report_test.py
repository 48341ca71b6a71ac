import json

from genret.cli import main


def test_a_report_is_made_and_named(tmp_path, capsys):
  (tmp_path / "results.json").write_text(json.dumps({"format": 1}))
  assert main.main(["report", str(tmp_path)]) == 0
  said = capsys.readouterr().out
  for name in ("report.md", "cells.csv"):
    assert f"wrote {tmp_path / name}" in said and (tmp_path / name).exists()
  assert main.main(["report", f"--workdir={tmp_path}"]) == 0


def test_a_folder_without_results_is_a_line(tmp_path, capsys):
  assert main.main(["report", str(tmp_path)]) == 2
  error = capsys.readouterr().err
  assert error.startswith("error: ") and "results.json" in error
  assert error.count("\n") == 1


def test_a_report_is_of_some_folder(capsys):
  assert main.main(["report"]) == 2
  assert "WORKDIR" in capsys.readouterr().err
