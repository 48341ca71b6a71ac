import logging
import shutil
import sys

import pytest
import seqio
import tensorflow as tf
import tensorflow_datasets as tfds

from genret.core import artifacts, collection
from genret.core.collection import Collection, Document, Query
from genret.core.errors import ArtifactError, ConfigError, DataError
from genret.corpora import embedded, tfds_builder
from genret.corpora.tfds_builder import BeamConfig, SeqioSource


def write(folder, documents, queries, qrels):
  recipe = artifacts.Recipe(
    stage=collection.STAGE, format_version=collection.FORMAT_VERSION
  )
  with artifacts.building(folder, recipe) as draft:
    collection.write(draft, documents=documents, queries=queries, qrels=qrels)
  return Collection.open(folder)


@pytest.fixture(scope="module")
def squad(tmp_path_factory):
  """All of SQuAD with its judgements as published."""
  source = embedded.squad()
  qrels = {}
  for split, read in source.qrels.items():
    for item in read():
      judged = qrels.setdefault(split, {}).setdefault(item.query_id, {})
      judged[item.docno] = item.grade
  folder = tmp_path_factory.mktemp("prepared") / "squad"
  return write(folder, source.documents(), source.queries(), qrels)


@pytest.fixture(scope="module")
def built(squad):
  return tfds_builder.build(squad, squad.root / "tfds")


@pytest.fixture
def toy(tmp_path):
  """40 documents; ten judgements of one query, with all sorts of grades."""
  return write(
    tmp_path / "toy",
    [Document(docno=f"d{i}", title="", text=f"été {i}") for i in range(40)],
    [Query(query_id="q", text="wer"), Query(query_id="r", text="was")],
    {"test": {"q": {f"d{i}": i - 5 for i in range(10)}, "r": {"d39": 1}}},
  )


def rows(dataset):
  return [
    {
      name: value.decode() if isinstance(value, bytes) else int(value)
      for name, value in example.items()
    }
    for example in dataset.as_numpy_iterator()
  ]


def by_text(row):
  return sorted((name, str(value)) for name, value in row.items())


def judgements(squad, split):
  number = {docno: row for row, docno in enumerate(squad.docnos)}
  qrels = squad.qrels(split)
  return [
    {
      "query_id": query.query_id,
      "query": query.text,
      "docno": docno,
      "row": number[docno],
      "grade": grade,
    }
    for query in squad.queries(split)
    for docno, grade in qrels[query.query_id].items()
  ]


def test_squad_through_tfds(squad, built):
  def load(config, split):
    name = f"genret_collection/{config}"
    return rows(tfds.load(name, data_dir=str(built), split=split))

  assert load("documents", "corpus") == [
    {"row": i, "docno": d.docno, "title": d.title, "text": d.text}
    for i, d in enumerate(squad.documents())
  ]
  assert load("queries", "queries") == [
    {"query_id": q.query_id, "text": q.text} for q in squad.queries()
  ]
  for split, count in (("train", 7488), ("dev", 521), ("test", 2561)):
    found = load("judgements", split)
    assert len(found) == count
    assert found == judgements(squad, split)


def test_squad_through_seqio(squad, built):
  source = seqio.TfdsDataSource(
    "genret_collection/judgements:1.0.0", tfds_data_dir=str(built)
  )
  assert set(source.splits) == {"train", "dev", "test"}
  assert source.num_input_examples("train") == 7488
  expected = judgements(squad, "dev")
  assert rows(source.get_dataset("dev", shuffle=False)) == expected
  shares = [
    rows(
      source.get_dataset("dev", shuffle=False, shard_info=seqio.ShardInfo(i, 4))
    )
    for i in range(4)
  ]
  assert all(shares)
  whole = sorted(sum(shares, []), key=lambda row: row["query_id"])
  assert whole == sorted(expected, key=lambda row: row["query_id"])


def test_our_source_reads_in_order_and_shuffled(squad, built, caplog):
  source = SeqioSource(built, "judgements")
  assert len(source.list_shards("test")) == 16
  expected = judgements(squad, "test")
  assert rows(source.get_dataset("test", shuffle=False)) == expected
  with caplog.at_level(logging.WARNING):
    one, again, other = (
      rows(source.get_dataset("test", shuffle=True, seed=seed))
      for seed in (1, 1, 2)
    )
  assert not caplog.records
  assert one == again
  assert one != other and one != expected
  assert sorted(map(by_text, one)) == sorted(map(by_text, expected))


def test_a_seqio_task(built):
  task = seqio.Task(
    "tfds_builder_test",
    source=SeqioSource(built, "documents"),
    output_features={
      "row": seqio.Feature(
        seqio.PassThroughVocabulary(3000), dtype=tf.int64, rank=0
      )
    },
    preprocessors=[],
  )
  found = task.get_dataset(None, split="corpus", shuffle=True, seed=0)
  taken = [int(example["row"]) for example in found.as_numpy_iterator()]
  assert sorted(taken) == list(range(2067)) != taken


def test_what_tfds_knows_of_it(built):
  info = tfds_builder.open_builder(built, "documents").info
  assert info.full_name == "genret_collection/documents/1.0.0"
  split = info.splits["corpus"]
  assert (split.num_examples, split.num_shards) == (2067, 16)
  sizes = [
    len(record)
    for path in split.filepaths
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
  ]
  assert split.num_bytes == sum(sizes)
  with pytest.raises(ConfigError, match="'document'. Did you mean 'documents'"):
    tfds_builder.open_builder(built, "document")


def test_examples_are_serialised_as_by_tfds(built):
  info = tfds_builder.open_builder(built, "judgements").info
  example = {"query_id": "q", "query": "é", "docno": "", "row": 7, "grade": -1}
  theirs = tfds.core.example_serializer.ExampleSerializer(
    info.features.get_serialized_info()
  ).serialize_example(info.features.encode_example(example))
  ours = tfds_builder.serialised(example)
  assert tf.train.Example.FromString(ours) == tf.train.Example.FromString(
    theirs
  )


def test_ten_judgements_of_a_query_are_ten_examples(toy):
  out = tfds_builder.build(toy, toy.root / "tfds")
  builder = tfds_builder.open_builder(out, "judgements")
  found = rows(builder.as_dataset(split="test"))
  assert [(row["docno"], row["grade"]) for row in found] == [
    *((f"d{i}", i - 5) for i in range(10)),
    ("d39", 1),
  ]
  assert found == judgements(toy, "test")


def test_beam_writes_the_same_files(toy):
  pytest.importorskip(
    "apache_beam", reason="apache-beam is no part of genret[test]"
  )
  alone = tfds_builder.build(toy, toy.root / "alone")
  beam = BeamConfig(runner="DirectRunner", options=("--direct_num_workers=2",))
  together = tfds_builder.build(toy, toy.root / "beam", beam=beam)
  assert artifacts.verify(together) == artifacts.verify(alone)
  documents = tfds_builder.open_builder(together, "documents")
  found = rows(documents.as_dataset(split="corpus"))
  assert [row["row"] for row in found] == list(range(40))


def test_a_build_broken_off_goes_on(toy):
  whole = artifacts.load(tfds_builder.build(toy, toy.root / "whole"))
  corpus = toy.root / collection.CORPUS
  good = corpus.read_bytes()
  corpus.write_bytes(good.replace(b"\xc3\xa9t\xc3\xa9 25", b'""""" 25'))
  out = toy.root / "tfds"
  with pytest.raises(DataError, match="corpus.jsonl:26: broken JSON"):
    tfds_builder.build(toy, out)
  with pytest.raises(ArtifactError, match="no finished artifact"):
    tfds_builder.open_builder(out, "documents")
  kept = {p: p.stat().st_ino for p in out.rglob("*tfrecord*")}
  assert sorted(path.name[-14:] for path in kept) == [
    f"{i:05d}-of-00016"
    for i in range(10)  # 25 stands in the eleventh
  ]
  corpus.write_bytes(good)
  tfds_builder.build(toy, out)
  assert artifacts.verify(out) == whole
  assert all(path.stat().st_ino == inode for path, inode in kept.items())


def test_what_stands_is_not_built_again(toy, tmp_path):
  out = tfds_builder.build(toy, toy.root / "tfds")
  before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
  tfds_builder.build(toy, out)
  assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before
  other = write(
    tmp_path / "other",
    [Document(docno="d", title="", text="x")],
    [Query(query_id="q", text="x")],
    {"test": {"q": {"d": 1}}},
  )
  with pytest.raises(ArtifactError, match="input collection is"):
    tfds_builder.build(other, out)
  shard = next(out.rglob("*corpus.tfrecord-00003*"))
  shard.write_bytes(shard.read_bytes()[:-1])
  with pytest.raises(ArtifactError, match="corpus.tfrecord-00003.*changed"):
    artifacts.verify(out)


def test_a_collection_does_not_change_by_it(toy):
  before = toy.identity
  tfds_builder.build(toy, toy.root / "tfds")
  artifacts.verify(toy.root)
  assert Collection.open(toy.root).identity == before
  shutil.rmtree(toy.root / "tfds")
  artifacts.verify(toy.root)


def test_a_runner_that_is_not_there(toy):
  pytest.importorskip(
    "apache_beam", reason="apache-beam is no part of genret[test]"
  )
  with pytest.raises(ConfigError, match="'DirectRuner'.*mean 'DirectRunner'"):
    tfds_builder.build(
      toy, toy.root / "a", beam=BeamConfig(runner="DirectRuner")
    )


def test_beam_that_is_not_there(toy, monkeypatch):
  monkeypatch.setitem(sys.modules, "apache_beam", None)
  with pytest.raises(ConfigError, match=r"pip install 'genret\[beam\]'"):
    tfds_builder.build(
      toy, toy.root / "a", beam=BeamConfig(runner="DirectRunner")
    )
