import pytest

from genret.cli import main
from genret.core.collection import Collection


def resplit(collection, out, *more):
  given = [f"--collection={collection}", f"--out={out}"]
  return main.main(["resplit", *given, *more])


def test_a_split_goes_where_a_collection_does(collection, tmp_path, capsys):
  out = tmp_path / "half"
  flags = ["--coverage=0.5", "--cover_with=sentences"]
  assert resplit(collection, out, *flags) == 0
  made = Collection.open(out)
  assert made.summary["coverage"] == 0.5
  shown = capsys.readouterr().out
  assert "coverage: 50.0 % of test positives" in shown
  assert f"next: genret docids --collection={out}" in shown
  given = [f"--collection={out}", f"--out={tmp_path / 'docids'}"]
  assert main.main(["docids", *given]) == 0


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ([], "Say how queries are split"),
    (["--coverage=0.5"], "as near as the 2 test positives"),
    (["--coverage=0.5", "--cover_with=title"], "titles"),
    (["--folds=5", "--by=clusters"], "cluster"),
    (["--folds=5", "--fold=6"], "fold is 6 of 5"),
  ],
)
def test_mistakes_are_one_line(collection, tmp_path, capsys, given, message):
  assert resplit(collection, tmp_path / "x", *given) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and message in error
  assert not list(tmp_path.iterdir())
