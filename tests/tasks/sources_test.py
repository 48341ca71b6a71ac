import numpy as np
import pytest

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.core.text import Tokenizer
from genret.tasks.examples import Examples
from genret.tasks.host_tensorflow import seqio
from genret.tasks.retrieval import LabelledQueries
from genret.tasks.sources import ExamplesSource, make_task, text_vocabulary


@pytest.fixture(scope="module")
def task(small_docids):
  rows = [(i % 3, [10 + i]) for i in range(30)]
  source = ExamplesSource(
    Examples.collect(rows, input_length=8),
    table=small_docids,
    docids="",
    config=LabelledQueries(rate=1.0),
  )
  return make_task("sources_test", source)


def first_ids(dataset) -> list[int]:
  return [int(e["inputs"][0]) for e in dataset.as_numpy_iterator()]


def test_examples_are_ids_and_docids_without_padding(task):
  dataset = task.get_dataset(None, split="train", shuffle=False)
  found = [
    (e["inputs"].tolist(), e["targets"].tolist())
    for e in dataset.take(3).as_numpy_iterator()
  ]
  assert found == [
    ([10, 1], [2, 1]),
    ([11, 1], [3, 2, 1]),
    ([12, 1], [3, 3, 1]),
  ]


def test_each_epoch_is_another_permutation(task):
  dataset = task.get_dataset(None, split="train", seed=1, num_epochs=2)
  found = first_ids(dataset)
  epochs = [found[:30], found[30:]]
  assert [sorted(epoch) for epoch in epochs] == [list(range(10, 40))] * 2
  assert epochs[0] != epochs[1]
  assert first_ids(dataset) == found
  other = task.get_dataset(None, split="train", seed=2, num_epochs=2)
  assert first_ids(other) != found


def test_without_a_seed_the_order_changes(task):
  one, other = (
    first_ids(task.get_dataset(None, split="train")) for _ in range(2)
  )
  assert one != other
  assert sorted(one) == sorted(other)


def test_shards_divide_an_epoch(task):
  shards = [
    first_ids(
      task.get_dataset(
        None, split="train", seed=1, shard_info=seqio.ShardInfo(i, 4)
      )
    )
    for i in range(4)
  ]
  assert sorted(sum(shards, [])) == list(range(10, 40))


def test_a_task_of_one_example_is_read_again_and_again(small_docids):
  source = ExamplesSource(
    Examples.collect([(0, [7])], input_length=8),
    table=small_docids,
    docids="",
    config=LabelledQueries(rate=1.0),
  )
  dataset = make_task("one", source).get_dataset(
    None, split="train", seed=0, num_epochs=3
  )
  assert first_ids(dataset) == [7, 7, 7]


def test_another_split_is_refused(task):
  with pytest.raises(ConfigError, match="'train' only"):
    task.source.get_dataset("dev")


def test_features_have_the_vocabularies_of_the_model(task, small_docids):
  features = task.output_features
  assert features["targets"].vocabulary.vocab_size == small_docids.vocab_size
  assert features["targets"].vocabulary.eos_id == 1
  assert features["inputs"].vocabulary.eos_id == Tokenizer.eos_id
  assert features["inputs"].vocabulary.vocab_size <= Tokenizer.vocab_size


def test_ids_are_those_of_the_tokenizer(squad):
  texts = [d.contents for d in squad.documents()][:60]
  texts += [q.text for q in squad.queries("dev")][:60]
  texts += ["", "  two  blanks ", "naïve ＪＡＸ ①", "<unk> \u200b émoji 🙂"]
  ours = Tokenizer().encode(texts, max_length=1 << 20, eos=False)
  vocabulary = text_vocabulary()
  assert [list(vocabulary.encode(text)) for text in texts] == ours
  in_graph = [vocabulary.encode_tf(text).numpy().tolist() for text in texts]
  assert in_graph == ours


def test_a_text_vocabulary_needs_no_special_case(small):
  table = DocidTable(
    codes=np.array([[31_999, 1], [37, 1], [629, 1]]),
    docnos=small.docnos,
    vocab_size=32_128,
    scheme="lexical",
    text_vocabulary=True,
  )
  source = ExamplesSource(
    Examples.collect([(0, [7])], input_length=8),
    table=table,
    docids="",
    config=LabelledQueries(rate=1.0),
  )
  task = make_task("text", source)
  [example] = task.get_dataset(None, split="train", shuffle=False)
  assert example["targets"].numpy().tolist() == [31_999, 1]
  assert task.output_features["targets"].vocabulary.vocab_size == 32_128
