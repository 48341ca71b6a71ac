"""The same documents under other judgements."""

import dataclasses

import numpy as np
import pytest

from genret.core import artifacts
from genret.core.collection import Collection
from genret.core.errors import ArtifactError, ConfigError
from genret.core.text import text_key
from genret.evaluation import splits
from genret.stages import docids, resplit
from genret.stages.docids import DocidsConfig
from genret.stages.resplit import ResplitConfig


def by_length():
  """An encoder that needs no weights: how long a text is."""
  return lambda texts: np.array([[len(t), 1.0] for t in texts], np.float32)


FOLD = ResplitConfig(folds=2, fold=2, encoder=by_length)


@pytest.fixture
def split(collection, tmp_path):
  """Returns the function from settings to the collection of 64 passages."""

  def make(out="made", **settings):
    config = ResplitConfig(**settings)
    return resplit.run(config, collection, tmp_path / out)

  return make


@pytest.mark.parametrize("coverage", [0.0, 0.25, 1.0])
def test_a_coverage_of_the_same_test(split, collection, coverage):
  made = split(coverage=coverage)
  assert made.qrels("test") == collection.qrels("test")
  assert made.qrels("dev") == collection.qrels("dev")
  train = made.qrels("train")
  assert train.items() <= collection.qrels("train").items()
  assert splits.coverage(train, made.qrels("test")) == coverage
  assert made.summary["coverage"] == coverage
  assert list(made.documents()) == list(collection.documents())
  judged = {q for split in made.splits for q in made.qrels(split)}
  assert {query.query_id for query in made.queries()} == judged
  assert made.name == f"squad-64-coverage-{coverage:g}"
  artifacts.verify(made.root)


def test_test_queries_that_are_not_asked_are_trained_on(split, collection):
  made = split(coverage=1.0, test_queries=4)
  other = split("other", coverage=0.0, test_queries=4)
  asked = made.qrels("test")
  assert len(asked) == 4 and asked == other.qrels("test")
  rest = collection.qrels("test").keys() - asked.keys()
  assert rest & made.qrels("train").keys()
  assert made.summary["changes"][
    "test queries that became training queries"
  ] == len(rest)


def test_a_query_of_the_words_of_a_test_query_is_not_trained_on(
  split, collection, monkeypatch
):
  first = split(coverage=1.0, test_queries=4)
  asked, trained = first.qrels("test"), first.qrels("train")
  texts = {query.query_id: query.text for query in collection.queries()}
  drawn = texts[next(iter(asked))]
  [twin, *_] = trained.keys() & collection.qrels("test").keys()
  monkeypatch.setattr(
    resplit,
    "text_key",
    lambda text: text_key(drawn if text == texts[twin] else text),
  )
  second = split("second", coverage=1.0, test_queries=4)
  assert trained.keys() - second.qrels("train").keys() == {twin}
  left = "test queries of the words of one that is drawn, left out"
  assert first.summary["changes"][left] == 0
  assert second.summary["changes"][left] == 1


def test_documents_without_another_query_are_given_their_words(
  split, collection
):
  """First no passage that is asked for has a query; then half have one."""
  none = split(coverage=0.0)
  with pytest.raises(ConfigError, match="0.000 is as near as the 8 test"):
    resplit.run(
      ResplitConfig(coverage=0.25), none, none.root.with_name("lacking")
    )
  config = ResplitConfig(coverage=0.25, cover_with="sentences")
  half = resplit.run(config, none, none.root.with_name("half"))
  second = half.qrels("train").keys() - none.qrels("train").keys()
  assert all(query.startswith("sentences:") for query in second)
  assert half.summary["coverage"] == 0.25
  texts = {query.query_id: query.text for query in half.queries()}
  contents = {d.docno: d.text for d in collection.documents()}
  for query in second:
    [docno] = half.qrels("train")[query]
    assert texts[query] in contents[docno]
  keys = [text_key(text) for text in texts.values()]
  assert len(set(keys)) == len(keys)


def test_folds_ask_the_same_and_train_on_as_much(split):
  far = split("far", folds=2, fold=2, encoder=by_length)
  near = split("near", folds=2, fold=2, encoder=by_length, by="random")
  assert far.qrels("test") == near.qrels("test")
  assert len(far.qrels("train")) == len(near.qrels("train"))
  assert far.name == "squad-64-cluster-2-of-2"
  labels = dict(
    line.split("\t")
    for line in (far.root / "folds.tsv").read_text().split("\n")
    if line
  )
  assert {labels[query] for query in far.qrels("test")} == {"2"}
  assert {labels[query] for query in far.qrels("train")} == {"1"}
  assert {labels[query] for query in near.qrels("train")} == {"1", "2"}


def test_what_it_makes_can_be_split_and_searched_like_any(split, tmp_path):
  made = split(coverage=0.25)
  again = resplit.run(ResplitConfig(coverage=0.0), made, tmp_path / "again")
  assert again.summary["coverage"] == 0.0
  table = docids.run(DocidsConfig(), again, None, out=tmp_path / "docids")
  assert table is not None
  assert Collection.open(again.root).num_documents == 64


def test_a_second_run_makes_nothing_and_other_settings_do_not_overwrite(
  split, collection, tmp_path
):
  made = split(coverage=0.25)
  before = (made.root / "manifest.json").stat().st_mtime_ns
  assert split(coverage=0.25).identity == made.identity
  assert (made.root / "manifest.json").stat().st_mtime_ns == before
  with pytest.raises(ArtifactError, match="coverage"):
    split(coverage=1.0)
  elsewhere = split("elsewhere", coverage=0.25)
  assert elsewhere.identity == made.identity


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"coverage": 0.5, "folds": 5}, "by one of them"),
    ({"coverage": 2.0}, "expected 0 to 1"),
    ({"folds": 5, "fold": 0}, "count from 1"),
    ({"folds": 1}, "expected 2 or more"),
    ({"folds": 2, "train_queries": 4}, "goes with coverage"),
    ({"coverage": 0.5, "test_queries": 0}, "test_queries is 0"),
    ({"coverage": 0.5, "seed": -1}, "seed is -1"),
  ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
  with pytest.raises(ConfigError, match=message):
    ResplitConfig(**settings)


def test_more_than_there_is_is_refused(split, tmp_path):
  with pytest.raises(ConfigError, match="Say how queries are split"):
    split()
  with pytest.raises(ConfigError, match="9 test queries are wanted.* has 8"):
    split(coverage=0.25, test_queries=9)
  with pytest.raises(ConfigError, match="training queries are wanted"):
    split(coverage=0.25, train_queries=9999)
  assert not list(tmp_path.iterdir())


def test_settings_of_folds_are_those_of_the_manifest(split):
  made = split(**dataclasses.asdict(FOLD))
  arguments = artifacts.load(made.root).arguments
  assert arguments["by"] == "cluster" and arguments["fold"] == 2
  assert "by_length" in str(arguments["encoder"])
  assert "coverage" not in arguments
