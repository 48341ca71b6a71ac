import pytest

from genret.cli import main
from genret.cli.describe_queries import named_sets


def test_describes_files_of_a_user(collection, tmp_path, capsys):
  path = tmp_path / "mine.tsv"
  path.write_text("heron\twaits for fish\nowl\twhich bird waits for fish\n")
  given = [f"--queries={path}", f"--collection={collection}"]
  assert main.main(["describe_queries", *given, f"--out={tmp_path}/out"]) == 0
  shown = capsys.readouterr().out
  assert "mine" in shown and "train queries" in shown
  assert "also a train query" in shown and "1 (50.0%)" in shown
  assert f"wrote {tmp_path}/out/report.md" in shown


@pytest.mark.parametrize("text", ["", "a=", "=b", "a=b,a=c", "x/a.tsv,y/a.gz"])
def test_names_are_needed_and_differ(text):
  with pytest.raises(ValueError):
    named_sets(text)
