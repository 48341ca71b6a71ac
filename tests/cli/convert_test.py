import tarfile

from genret.cli import main
from genret.core.docid_table import DocidTable


def test_converts_and_prints_what_starts_anew(tmp_path, request, capsys):
  golden = request.config.rootpath / "tests" / "data" / "t5x_golden.tar.xz"
  with tarfile.open(golden) as file:
    file.extractall(tmp_path, filter="data")
  DocidTable(
    codes=[[2], [3]], docnos=["a", "b"], vocab_size=4, scheme="hand"
  ).save(tmp_path / "docids")
  given = [
    "convert",
    f"--source={tmp_path}/legacy",
    f"--docids={tmp_path}/docids",
    f"--out={tmp_path}/ours",
  ]
  assert main.main(given) == 0
  shown = capsys.readouterr().out
  assert "decoder/docid_embedder/embedding" in shown
  assert "decoder/logits_dense/kernel" in shown
  assert "token_embedder" not in shown


def test_a_wrong_target_is_one_line(tmp_path, capsys):
  given = ["convert", f"--source={tmp_path}", f"--out={tmp_path}/o", "--to=t6"]
  assert main.main(given) == 2
  assert capsys.readouterr().err.count("\n") == 1


def test_a_wrong_source_is_one_line(tmp_path, capsys):
  given = ["convert", f"--source={tmp_path}", f"--out={tmp_path}/o"]
  assert main.main(given) == 2
  assert capsys.readouterr().err.count("\n") == 1
