import pytest

from genret.cli import main
from genret.core.collection import Collection


def ladder(collection, out, *more):
  given = [f"--collection={collection}", f"--out={out}"]
  return main.main(["ladder", *given, *more])


def test_makes_rungs(collection, tmp_path, capsys):
  few = ["--dev_queries=1", "--test_queries=1"]
  assert ladder(collection, tmp_path / "l", "--rungs=4,all", *few) == 0
  assert Collection.open(tmp_path / "l" / "4").num_documents == 4
  assert Collection.open(tmp_path / "l" / "all").num_documents == 6
  shown = capsys.readouterr().out
  assert "duplicates" in shown
  assert f"next: genret docids --collection={tmp_path}/l/4" in shown


def test_a_rung_goes_where_a_collection_does(collection, tmp_path):
  few = ["--dev_queries=1", "--test_queries=1"]
  assert ladder(collection, tmp_path / "l", "--rungs=4", *few) == 0
  rung, out = tmp_path / "l" / "4", tmp_path / "docids"
  given = [f"--collection={rung}", f"--out={out}"]
  assert main.main(["docids", *given]) == 0


def test_imports_lists(collection, tmp_path):
  docnos = list(Collection.open(collection).docnos)
  queries = [q.query_id for q in Collection.open(collection).queries("train")]
  (tmp_path / "d.txt").write_text("\n".join(docnos[:5]))
  (tmp_path / "q.txt").write_text("\n".join(queries))
  given = [f"--docnos={tmp_path}/d.txt", "--name=five"]
  given += [f"--queries=train={tmp_path}/q.txt"]
  given += ["--gin.EXPECTED={'documents': 5}"]
  assert ladder(collection, tmp_path / "l", *given) == 0
  assert list(Collection.open(tmp_path / "l" / "five").docnos) == docnos[:5]


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ([], "No rung is asked for"),
    (["--rungs=1k"], "the collection has 6 documents"),
    (["--rungs=1k,,2k"], "--rungs"),
    (["--queries=test"], "--queries"),
    (["--rungs=4", "--like=papr"], "paper"),
    (["--docnos=none.txt"], "no such list"),
  ],
)
def test_mistakes_are_one_line(collection, tmp_path, capsys, given, message):
  assert ladder(collection, tmp_path / "l", *given) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and message in error
