from genret.cli import main
from genret.core import runs


def test_writes_a_run_for_each_row(collection, tmp_path, capsys):
  given = [f"--collection={collection}", f"--out={tmp_path}/b", "--k=3"]
  some = ["--gin.BM25_GRID=None", "--gin.BAG_OF_SUBWORDS=None"]
  assert main.main(["baselines", *given, *some]) == 0
  run = runs.read_trec(tmp_path / "b" / "bm25" / "run.trec")
  assert run["q5"][0].docno == "dipper"
  shown = capsys.readouterr().out
  assert "bm25_expanded" in shown and "next: genret evaluate" in shown
