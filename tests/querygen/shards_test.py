import pytest

from genret.core import artifacts
from genret.querygen import shards as shards_lib
from genret.querygen.shards import Shards
from genret.tasks.synthetic import SyntheticQuery, read_queries

RECIPE = artifacts.Recipe(stage="generate", arguments={"n": 1})


class Killed(BaseException):
  pass


def making(*, until=None, seen=None):
  """Makes two queries of every document but the third, which is empty."""

  def make(rows, tally):
    for row in rows:
      if row == until:
        raise Killed
      if seen is not None:
        seen.append(row)
      tally.done()
      if row == 2:
        tally.count("empty documents")
        continue
      tally.count("queries", 2)
      for number in range(2):
        yield SyntheticQuery(
          docno=f"d{row}", text=f"query {number} of {row}", generator="test"
        )

  return make


def new_shards(tmp_path, name="out"):
  return Shards.beside(tmp_path / name, RECIPE, documents=5, size=2)


def joined(shards, path):
  shards.join(path)
  return path.read_bytes()


def test_all_documents_in_corpus_order(tmp_path):
  shards = new_shards(tmp_path)
  shards.fill(making())
  path = tmp_path / "queries.jsonl"
  shards.join(path)
  found = [(query.docno, query.text) for query in read_queries(path)]
  assert found == [
    (f"d{row}", f"query {number} of {row}")
    for row in (0, 1, 3, 4)
    for number in range(2)
  ]
  assert shards.counts() == {"empty documents": 1, "queries": 8}


@pytest.mark.parametrize("until", range(5))
def test_what_was_killed_ends_with_the_same_bytes(tmp_path, until):
  whole, killed = (new_shards(tmp_path, name) for name in ("one", "two"))
  whole.fill(making())
  with pytest.raises(Killed):
    killed.fill(making(until=until))
  seen = []
  killed.fill(making(seen=seen))
  assert seen == list(range(until - until % 2, 5))
  first, second = (
    joined(shards, tmp_path / name)
    for shards, name in ((whole, "a.jsonl"), (killed, "b.jsonl"))
  )
  assert first == second
  assert whole.counts() == killed.counts()


def test_the_bar_counts_documents_and_starts_where_it_was(tmp_path, capsys):
  shards = new_shards(tmp_path)
  with pytest.raises(Killed):
    shards.fill(making(until=3))
  capsys.readouterr()
  shards.fill(making(), label="prompt")
  shown = capsys.readouterr().err
  assert "prompt" in shown
  assert "5/5" in shown
  assert "2/5" in shown
  shards.fill(making())
  assert capsys.readouterr().err == ""


def test_other_settings_have_other_shards_and_all_are_forgotten(tmp_path):
  out = tmp_path / "out"
  other = artifacts.Recipe(stage="generate", arguments={"n": 2})
  for recipe in (RECIPE, other):
    Shards.beside(out, recipe, documents=1, size=1).fill(making())
  assert len(list(shards_lib.working_folders(out))) == 2
  shards_lib.forget(out)
  assert not list(tmp_path.iterdir())
