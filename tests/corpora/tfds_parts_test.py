import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genret.core import artifacts, collection, rungs
from genret.core.collection import Collection, Document, Query
from genret.core.errors import ConfigError
from genret.corpora import tfds_parts
from genret.corpora.tfds_parts import Part

DOCUMENTS = [
  Document(docno="d2", title="", text="zwei"),
  Document(docno="d1", title="Eins", text="the first, é"),
  Document(docno="d3", title="three", text=""),
]
QUERIES = [
  Query(query_id="b", text="who"),
  Query(query_id="a", text="what"),
  Query(query_id="c", text="nobody judged this"),
]
QRELS = {
  "test": {"a": {"d1": 1, "d3": 0}, "b": {"d3": -2, "d2": 3}},
  "dev.small": {"b": {"d1": 2}},
}


def write(folder, qrels=QRELS):
  recipe = artifacts.Recipe(
    stage=collection.STAGE,
    arguments={"name": "toy"},
    format_version=collection.FORMAT_VERSION,
  )
  with artifacts.building(folder, recipe) as draft:
    collection.write(draft, documents=DOCUMENTS, queries=QUERIES, qrels=qrels)
  return Collection.open(folder)


@pytest.fixture
def toy(tmp_path):
  return write(tmp_path / "toy")


def everything(part):
  return list(part.examples(range(part.count)))


def test_documents_by_rows(toy):
  part = tfds_parts.documents_part(toy)
  assert (part.config, part.split, part.count) == ("documents", "corpus", 3)
  assert everything(part) == [
    {"row": 0, "docno": "d2", "title": "", "text": "zwei"},
    {"row": 1, "docno": "d1", "title": "Eins", "text": "the first, é"},
    {"row": 2, "docno": "d3", "title": "three", "text": ""},
  ]
  assert [e["row"] for e in part.examples(range(1, 3))] == [1, 2]


def test_queries_judged_or_not(toy):
  part = tfds_parts.queries_part(toy)
  assert (part.split, part.count) == ("queries", 3)
  assert everything(part)[1:] == [
    {"query_id": "a", "text": "what"},
    {"query_id": "c", "text": "nobody judged this"},
  ]


def test_a_rung_counts_its_own_rows(toy, tmp_path):
  recipe = artifacts.Recipe(
    stage=rungs.STAGE,
    inputs={rungs.INPUT: toy.identity},
    format_version=rungs.FORMAT_VERSION,
  )
  folder = tmp_path / "rung"
  judged = {"test": {"b": {"d3": 1}}}
  with artifacts.building(folder, recipe) as draft:
    collection.write(draft, documents=[], queries=QUERIES, qrels=judged)
    np.save(draft / rungs.ROWS, np.array([0, 2], np.int32))
    toy.docnos.take([0, 2]).save(draft / collection.DOCNOS)
    artifacts.write_json(draft / collection.SUMMARY, {"documents": 2})
    rungs.write_parent(draft, toy.root, final=folder)
  rung = Collection.open(folder)
  found = everything(tfds_parts.documents_part(rung))
  assert [(e["row"], e["docno"]) for e in found] == [(0, "d2"), (1, "d3")]
  [test] = tfds_parts.judgements_parts(rung)
  assert everything(test)[0]["row"] == 1


def test_every_judgement_is_kept(toy):
  test, dev = tfds_parts.judgements_parts(toy)
  assert (test.split, dev.split) == ("test", "dev_small")
  who, what = (
    {"query_id": "b", "query": "who"},
    {"query_id": "a", "query": "what"},
  )
  assert everything(test) == [
    who | {"docno": "d3", "row": 2, "grade": -2},
    who | {"docno": "d2", "row": 0, "grade": 3},
    what | {"docno": "d1", "row": 1, "grade": 1},
    what | {"docno": "d3", "row": 2, "grade": 0},
  ]
  assert everything(dev) == [who | {"docno": "d1", "row": 1, "grade": 2}]


def test_splits_of_one_name_in_tfds(tmp_path):
  judged = {"a": {"d1": 1}}
  made = write(tmp_path / "c", {"dev.small": judged, "dev_small": judged})
  with pytest.raises(ConfigError, match="dev.small, dev_small two would"):
    tfds_parts.judgements_parts(made)


@given(st.integers(0, 10**7))
def test_shards_are_even_and_follow_each_other(count):
  part = Part(config="c", split="s", count=count, examples=iter)
  shards = [part.shard(i) for i in range(part.num_shards)]
  assert shards[0].start == 0 and shards[-1].stop == count
  assert all(
    a.stop == b.start for a, b in zip(shards, shards[1:], strict=False)
  )
  sizes = {len(shard) for shard in shards}
  assert max(sizes) - min(sizes) <= 1
  assert max(sizes) <= tfds_parts.SHARD_SIZE
  assert len(shards) >= min(16, max(count, 1))


def test_files_are_named_as_tfds_names_them(tmp_path):
  part = Part(config="documents", split="corpus", count=20, examples=iter)
  assert part.path(tmp_path, 3).relative_to(tmp_path).as_posix() == (
    "genret_collection/documents/1.0.0/"
    "genret_collection-corpus.tfrecord-00003-of-00016"
  )
