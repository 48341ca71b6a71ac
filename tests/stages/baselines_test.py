import dataclasses
import functools
import json

import numpy as np
import pytest

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.core.errors import ArtifactError, DataError, UserError
from genret.core.runs import read_trec
from genret.embeddings.store import EmbeddingStore
from genret.retrieval.bag_of_subwords import BagOfSubwordsConfig
from genret.retrieval.bm25 import BM25, Bm25Config
from genret.retrieval.dense import Dense
from genret.stages import baselines
from genret.stages.baselines import BaselinesConfig, Bm25Grid
from genret.stages.embed import EmbedConfig
from genret.tasks.synthetic import SyntheticQuery, write_line

TOPICS = ["cat", "dog", "ship", "music", "river", "doctor"]
SMALL = BagOfSubwordsConfig(
  dim=16, train_steps=20, batch_size=32, eval_period=10
)
CONFIG = BaselinesConfig(
  k=3,
  bm25_grid=Bm25Grid(k1=(0.9, 2.0), b=(0.0, 0.4)),
  bag_of_subwords=SMALL,
)


def make(folder, splits):
  """Write a collection where each topic has a document and three questions."""
  asked = {"train": "Who saw the {} first?", "dev": "Any {}?", "test": "A {}?"}
  recipe = artifacts.Recipe(
    stage="prepare",
    arguments={"name": folder.name},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(folder, recipe) as draft:
    collection.write(
      draft,
      documents=[
        Document(
          docno=f"d{i}", title="", text=f"The {t} is here. A {t} is it, a {t}."
        )
        for i, t in enumerate(TOPICS)
      ],
      queries=[
        Query(query_id=f"{split}{i}", text=asked[split].format(t))
        for split in splits
        for i, t in enumerate(TOPICS)
      ],
      qrels={
        split: {f"{split}{i}": {f"d{i}": 1} for i in range(len(TOPICS))}
        for split in splits
      },
    )
  return Collection.open(folder)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
  folder = tmp_path_factory.mktemp("toy")
  return make(folder / "toy", ["train", "dev", "test"])


@pytest.fixture(scope="module")
def made(toy, tmp_path_factory):
  out = tmp_path_factory.mktemp("rows")
  return out, baselines.run(CONFIG, toy, out)


def settings(out, row):
  return json.loads((out / row / "settings.json").read_text())


def test_every_row_has_a_run_of_the_test_queries(made):
  out, paths = made
  assert list(paths) == [
    "bm25",
    "bm25_tuned",
    "bm25_expanded",
    "bag_of_subwords",
  ]
  for row, path in paths.items():
    assert path == out / row / "run.trec"
    run = read_trec(path)
    assert set(run) == {f"test{i}" for i in range(len(TOPICS))}
    for i in range(len(TOPICS)):
      assert run[f"test{i}"][0].docno == f"d{i}"
      assert len(run[f"test{i}"]) <= 3
    artifacts.verify(path.parent)


def test_settings_say_what_was_chosen_and_where(made):
  out, _ = made
  assert settings(out, "bm25")["settings"]["k1"] == 0.9
  tuned = settings(out, "bm25_tuned")
  assert len(tuned["tried"]) == 4
  assert tuned["chosen_on"] == {"dev": {"RR@10": 1.0}}
  assert tuned["settings"] == settings(out, "bm25")["settings"]  # all equal
  assert settings(out, "bm25_expanded")["appended_queries"] == len(TOPICS)
  bag = settings(out, "bag_of_subwords")
  assert [look["step"] for look in bag["looks_at_dev"]] == [10, 20]
  assert bag["chosen_step"] in (10, 20)
  assert bag["settings"]["train_steps"] == 20


def test_finished_rows_stand_and_others_are_refused(made, toy):
  out, paths = made
  before = {row: p.stat().st_mtime_ns for row, p in paths.items()}
  baselines.run(CONFIG, toy, out)
  assert before == {row: p.stat().st_mtime_ns for row, p in paths.items()}
  with pytest.raises(ArtifactError, match="bm25"):
    baselines.run(BaselinesConfig(k=3, bm25=Bm25Config(k1=1.5)), toy, out)


def test_rows_can_be_left_out(toy, tmp_path):
  config = BaselinesConfig(
    split="dev", bm25_grid=None, bm25_expanded=False, bag_of_subwords=None
  )
  paths = baselines.run(config, toy, tmp_path)
  assert list(paths) == ["bm25"]
  assert set(read_trec(paths["bm25"])) == {f"dev{i}" for i in range(6)}


def letters(*, alphabet: str = "abcdefghijklmnopqrstuvwxyz"):
  """Loads an encoder that counts letters."""

  def encode(texts):
    return np.array(
      [
        [1 + text.lower().count(letter) for letter in alphabet]
        for text in texts
      ]
    )

  return encode


def test_a_row_of_dense_search(toy, tmp_path):
  dense = EmbedConfig(encoder=letters, dtype="float32")
  config = BaselinesConfig(
    k=4,
    bm25_grid=None,
    bm25_expanded=False,
    bag_of_subwords=None,
    dense=dense,
  )
  paths = baselines.run(config, toy, tmp_path / "a")
  assert list(paths) == ["bm25", "dense"]
  store = EmbeddingStore.load(tmp_path / "a" / "vectors")
  found = read_trec(paths["dense"])
  expected = Dense(letters()).fit(store).search(list(toy.queries("test")), k=4)
  assert {q: [hit.docno for hit in hits] for q, hits in found.items()} == {
    q: [hit.docno for hit in hits] for q, hits in expected.items()
  }
  said = settings(tmp_path / "a", "dense")
  assert said["encoder"]["function"].endswith("letters")
  assert said["vectors"] == store.identity
  # Vectors that are there are taken, and count for this row alone.
  given = dataclasses.replace(
    config, dense=dataclasses.replace(dense, vectors=tmp_path / "a" / "vectors")
  )
  again = baselines.run(given, toy, tmp_path / "b")
  assert again["dense"].read_bytes() == paths["dense"].read_bytes()
  other = dataclasses.replace(
    config, dense=EmbedConfig(encoder=functools.partial(letters, alphabet="ab"))
  )
  with pytest.raises(ArtifactError, match="alphabet"):
    baselines.run(other, toy, tmp_path / "a")
  assert artifacts.identity(again["bm25"].parent) == artifacts.identity(
    paths["bm25"].parent
  )


def test_a_row_of_documents_with_synthetic_queries(toy, tmp_path):
  path = tmp_path / "queries.tsv"
  path.write_text("d5\ta vessel at sea\nd2\tvessel\nd2\tvessel, vessel\n")
  config = BaselinesConfig(
    k=3,
    bm25_grid=None,
    bm25_expanded=False,
    bag_of_subwords=None,
    synthetic_queries=path,
  )
  paths = baselines.run(config, toy, tmp_path / "a")
  assert list(paths) == ["bm25", "bm25_synthetic"]
  said = settings(tmp_path / "a", "bm25_synthetic")
  assert said["appended_queries"] == 3
  searcher = BM25().fit(
    Document(docno=d.docno, title=d.title, text=f"{d.text} {more}".strip())
    for d, more in zip(
      toy.documents(),
      ["", "", "vessel vessel, vessel", "", "", "a vessel at sea"],
      strict=True,
    )
  )
  expected = searcher.search(list(toy.queries("test")), k=3)
  found = read_trec(paths["bm25_synthetic"])
  assert {q: [h.docno for h in hits] for q, hits in found.items()} == {
    q: [h.docno for h in hits] for q, hits in expected.items()
  }
  path.write_text("d5\ta vessel\n")
  with pytest.raises(ArtifactError, match="input queries"):
    baselines.run(config, toy, tmp_path / "a")
  path.write_text("d9\ta vessel\n")
  with pytest.raises(DataError, match="d9"):
    baselines.run(config, toy, tmp_path / "b")


def test_queries_made_for_a_lower_grade_are_not_appended(toy, tmp_path):
  path = tmp_path / "queries.jsonl"
  path.write_text(
    "".join(
      write_line(SyntheticQuery(docno="d5", text="a vessel", grade=grade))
      for grade in (0, None, 1, 2)
    )
  )
  config = BaselinesConfig(
    bm25_grid=None,
    bm25_expanded=False,
    bag_of_subwords=None,
    synthetic_queries=path,
  )
  for relevance, appended in ((1, 3), (2, 2)):
    out = tmp_path / str(relevance)
    config = dataclasses.replace(config, relevance=relevance)
    baselines.run(config, toy, out)
    said = settings(out, "bm25_synthetic")
    assert said["appended_queries"] == appended
    assert said["queries_of_lower_grades"] == 4 - appended
    found = artifacts.load(out / "bm25_synthetic").arguments
    assert found.get("relevance", 1) == relevance


def test_settings_are_never_chosen_on_test():
  with pytest.raises(UserError, match="never on 'test'"):
    BaselinesConfig(dev_split="test")
  with pytest.raises(UserError, match="unknown measure"):
    BaselinesConfig(dev_measure="RRR@10")


def test_a_collection_without_train_or_dev(tmp_path):
  bare = make(tmp_path / "bare", ["test"])
  with pytest.raises(UserError, match="no split 'dev'"):
    baselines.run(BaselinesConfig(), bare, tmp_path / "a")
  config = BaselinesConfig(bm25_grid=None)
  with pytest.raises(UserError, match="set BaselinesConfig.bm25_expanded"):
    baselines.run(config, bare, tmp_path / "b")
  config = BaselinesConfig(
    bm25_grid=None, bm25_expanded=False, bag_of_subwords=SMALL
  )
  baselines.run(config, bare, tmp_path / "c")
  bag = settings(tmp_path / "c", "bag_of_subwords")
  assert bag["looks_at_dev"] == []
  assert bag["chosen_step"] == 20


def test_runs_are_the_same_bytes_each_time(made, toy, tmp_path):
  _, paths = made
  again = baselines.run(CONFIG, toy, tmp_path)
  for row, path in paths.items():
    assert path.read_bytes() == again[row].read_bytes()
    assert artifacts.identity(path.parent) == artifacts.identity(
      again[row].parent
    )
