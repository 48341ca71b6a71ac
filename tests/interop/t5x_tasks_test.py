"""What t5x reads, as seqio gives it; t5x itself is not needed here."""

import functools
import json

import numpy as np
import pytest

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.interop import t5x_tasks
from genret.interop.t5x_tasks import DocidVocabulary
from genret.tasks import mixtures
from genret.tasks.host_tensorflow import seqio, tf
from genret.tasks.retrieval import LabelledQueries

TABLE = DocidTable(
  codes=np.array([[4, 2, 1], [300, 1, 0], [4, 258, 1], [4, 2, 1]], np.uint16),
  docnos=["a", "b", "c", "d"],
  vocab_size=301,
  scheme="hand",
)


def test_docids_are_decoded_to_docnos():
  vocabulary = DocidVocabulary(TABLE)
  assert vocabulary.decode([300, 1, 0, 0]) == "b"
  assert vocabulary.decode([4, 2, 1]) == "a"  # the first of two
  assert vocabulary.decode([0, 0, 0]) == ""
  assert vocabulary.decode([4, 2]) == ""
  found = vocabulary.decode_tf(tf.constant([[4, 258, 1], [0, 0, 0]]))
  assert found.numpy().tolist() == [b"c", b""]
  assert vocabulary.decode_tf(tf.constant([300, 1])).numpy() == b"b"


def test_every_docid_of_a_long_table_is_found():
  codes = np.random.default_rng(0).integers(2, 70_000, (500, 3)).astype("i4")
  table = DocidTable(
    codes=codes,
    docnos=[str(i) for i in range(500)],
    vocab_size=70_000,
    scheme="hand",
  )
  assert DocidVocabulary(table).docnos(codes) == list(table.docnos)


def test_equals_the_vocabulary_of_training_tasks(tiny):
  collection, docids = tiny
  name = t5x_tasks.mixture(
    collection,
    docids,
    build=functools.partial(mixtures.build, tasks=[LabelledQueries(rate=1.0)]),
  )
  features = seqio.get_mixture_or_task(name).output_features
  vocabulary = DocidVocabulary(DocidTable.load(docids))
  assert features["targets"].vocabulary == vocabulary
  assert not features["targets"].vocabulary != vocabulary
  assert t5x_tasks.mixture(collection, docids, build=name) == name


def test_queries_are_examples_with_their_texts(tiny):
  collection, docids = tiny
  name = t5x_tasks.queries(collection, docids, split="test")
  assert name == t5x_tasks.queries(collection, docids, split="test")
  task = seqio.get_mixture_or_task(name)
  rows = list(
    task.get_dataset(
      {"inputs": 8, "targets": 8}, "test", shuffle=False
    ).as_numpy_iterator()
  )
  assert [row["query_id_pretokenized"] for row in rows] == [b"q8", b"q9"]
  assert json.loads(rows[1]["targets_pretokenized"]) == ["d9", "d1"]
  table = DocidTable.load(docids)
  codes = table.codes[9]
  assert rows[1]["targets"].tolist() == codes[codes > 0].tolist()
  text = task.output_features["inputs"].vocabulary.decode(
    rows[0]["inputs"].tolist()
  )
  assert text == "what is violin"
  assert rows[0]["inputs"][-1] == 1


def test_seqio_measures_them(tiny):
  collection, docids = tiny
  name = t5x_tasks.queries(collection, docids, split="test")
  table = DocidTable.load(docids)
  evaluator = seqio.Evaluator(
    name,
    seqio.EncDecFeatureConverter(pack=False),
    eval_split="test",
    sequence_length={"inputs": 8, "targets": 4},
    logger_cls=(),
  )
  found = np.asarray(table.codes[[7, 9]], np.int32)  # best last

  def predict(dataset):
    return [(i, found) for i, _ in dataset.as_numpy_iterator()]

  metrics, _ = evaluator.evaluate(
    compute_metrics=True, step=0, predict_fn=predict
  )
  assert metrics.result()[name] == {
    "Success@1": 0.5,
    "Success@10": 0.5,
    "RR@10": 0.5,
  }


def test_a_split_without_queries_is_refused(tiny):
  collection, docids = tiny
  with pytest.raises(ConfigError, match="'none' .* no query"):
    t5x_tasks.queries(collection, docids, split="none")
