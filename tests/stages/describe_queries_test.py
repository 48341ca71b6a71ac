import json

import pytest

from genret.core import artifacts
from genret.core.errors import ArtifactError, DataError, UserError
from genret.stages import describe_queries
from genret.stages.describe_queries import DescribeQueriesConfig

CONFIG = DescribeQueriesConfig()


@pytest.fixture(scope="module")
def sets(collection, tmp_path_factory):
  """Two files of a user's: training questions, and copies of the text."""
  folder = tmp_path_factory.mktemp("sets")
  questions, copies = folder / "questions.tsv", folder / "copies.tsv"
  questions.write_text(
    "".join(
      f"{positive.docno}\t{positive.query.text}\n"
      for positive in reversed(list(collection.positives("train")))
    )
  )
  copies.write_text(
    "".join(
      f"{document.docno}\t{' '.join(document.text.split()[:6])}\n"
      for document in collection.documents()
    )
  )
  return {"questions": questions, "copies": copies}


def test_sets_stand_beside_each_other(sets, collection, tmp_path):
  out = tmp_path / "out"
  report = describe_queries.run(CONFIG, sets, collection, out=out)
  found = json.loads((out / "summary.json").read_text())
  assert set(found) == {"questions", "copies", "train queries"}
  asked, copied = found["questions"], found["copies"]
  assert copied["verbatim"] == copied["queries"] == 64
  assert copied["copied"]["mean"] == 1.0
  assert asked["overlap"]["train"]["for_their_document"] == asked["queries"]
  assert asked["overlap"]["test"]["generated"] == 0
  assert copied["overlap"]["train"]["generated"] == 0
  del asked["overlap"], found["train queries"]["overlap"]
  assert asked == found["train queries"]  # in another order, at first
  head = report.text.splitlines()[0]
  assert head.index("questions") < head.index("copies") < head.index("train")
  assert [path.name for path in report.files] == ["report.png", "report.svg"]
  artifacts.verify(out)
  assert describe_queries.run(CONFIG, sets, collection, out=out) == report
  only = {"copies": sets["copies"]}
  with pytest.raises(ArtifactError, match="argument sets"):
    describe_queries.run(CONFIG, only, collection, out=out)


def test_without_matplotlib_there_are_tables(
  sets, collection, tmp_path, monkeypatch
):
  monkeypatch.setattr("genret.querygen.plots.available", lambda: False)
  config = DescribeQueriesConfig(labelled_split=None)
  out = tmp_path / "out"
  report = describe_queries.run(config, sets, collection, out=out)
  assert report.files == () and "train queries" not in report.text
  assert not list(out.glob("*.png"))


def test_faults(sets, collection, tmp_path):
  path = tmp_path / "queries.tsv"
  path.write_text("nobody\twho is it\n")
  out = tmp_path / "out"
  with pytest.raises(DataError, match="made for another one"):
    describe_queries.run(CONFIG, {"a": path}, collection, out=out)
  with pytest.raises(UserError, match="no queries to describe"):
    describe_queries.run(CONFIG, {}, collection, out=out)
  assert not out.exists()
