import collections

import pytest

from genret.core.collection import Document, Query
from genret.core.errors import ArtifactError, ConfigError
from genret.corpora import tfds_builder
from genret.docids import naive
from genret.tasks import feed, mixtures, tfds_tasks
from genret.tasks.host_tensorflow import seqio
from genret.tasks.indexing import DaQ, FirstP
from genret.tasks.retrieval import LabelledQueries


@pytest.fixture(scope="module")
def made(few):
  tfds_builder.build(few, few.root / "tfds")
  return few


@pytest.fixture(scope="module")
def docids(few):
  return naive.fit(few)


def pairs(dataset):
  return [
    (e["inputs"].tolist(), e["targets"].tolist())
    for e in dataset.as_numpy_iterator()
  ]


@pytest.mark.parametrize(
  "config",
  [
    FirstP(rate=1.0),
    FirstP(rate=1.0, num_tokens=5, title=False),
    LabelledQueries(rate=1.0),
    LabelledQueries(rate=1.0, split="dev"),
  ],
)
def test_examples_are_those_of_the_arrays(made, docids, config):
  build = {"tasks": [config], "input_length": 48}
  [streamed] = tfds_tasks.build(made, docids, **build).tasks
  [stored] = mixtures.build(made, docids, **build).tasks
  options = {"split": config.split, "shuffle": False}
  expected = pairs(stored.get_dataset(None, **options))
  assert pairs(streamed.get_dataset(None, **options)) == expected
  shuffled = pairs(streamed.get_dataset(None, split=config.split, seed=0))
  assert shuffled != expected

  def counted(examples):
    return collections.Counter((tuple(i), tuple(t)) for i, t in examples)

  assert counted(shuffled) == counted(expected)
  hosts = [
    streamed.get_dataset(None, shard_info=seqio.ShardInfo(i, 2), **options)
    for i in range(2)
  ]
  parts = [counted(pairs(host)) for host in hosts]
  assert all(parts) and parts[0] + parts[1] == counted(expected)


def test_odd_texts_and_grades(new_collection, tmp_path):
  odd = [
    "  two  blanks ",
    "",
    "\u3000ＪＡＸ ①\u2028",
    "naïve\u200b",
    "\x1fa\x85",
  ]
  some = new_collection(
    tmp_path / "odd",
    documents=[
      Document(docno=f"d{i}", title=title, text=text)
      for i, (title, text) in enumerate(zip(odd[::-1], odd, strict=True))
    ],
    queries=[Query(query_id=f"q{i}", text=text) for i, text in enumerate(odd)],
    qrels={"train": {f"q{i}": {"d1": i - 1, f"d{i}": i} for i in range(5)}},
  )
  tfds_builder.build(some, some.root / "tfds")
  docids = naive.fit(some)
  for config in (
    FirstP(rate=1.0),
    FirstP(rate=1.0, title=False),
    LabelledQueries(rate=1.0),
    LabelledQueries(rate=1.0, relevance=3),
  ):
    [streamed] = tfds_tasks.build(some, docids, tasks=[config]).tasks
    [stored] = mixtures.build(some, docids, tasks=[config]).tasks
    assert pairs(streamed.get_dataset(None, shuffle=False)) == pairs(
      stored.get_dataset(None, shuffle=False)
    )


def test_a_mixture_trains(made, docids):
  mixture = tfds_tasks.build(
    made,
    docids,
    tasks=[
      FirstP(rate=1.0, token_dropout=(0.1, 0.3)),
      LabelledQueries(rate=1.0),
    ],
    input_length=48,
  )
  options = {"lengths": {"inputs": 64, "targets": 16}, "batch_size": 8}
  batch = next(feed.training_batches(mixture, **options))
  assert batch["encoder_input_tokens"].shape == (8, 64)
  assert feed.num_examples(batch) >= 8
  assert mixtures.describe(mixture).count("50.0%, read by seqio") == 2


def test_other_tasks_are_refused(made, docids):
  with pytest.raises(ConfigError, match="DaQ needs mixtures.build"):
    tfds_tasks.build(made, docids, tasks=[DaQ(rate=1.0)])


def test_another_split_is_refused(made, docids):
  mixture = tfds_tasks.build(made, docids, tasks=[FirstP(rate=1.0)])
  with pytest.raises(ConfigError, match="split 'train' only; 'dev'"):
    mixture.tasks[0].source.get_dataset("dev")


def test_data_sets_of_another_collection(made, small, small_docids):
  with pytest.raises(ArtifactError, match="of another collection than 'small'"):
    tfds_tasks.build(
      small,
      small_docids,
      tasks=[FirstP(rate=1.0)],
      tfds_dir=str(made.root / "tfds"),
    )
  with pytest.raises(ArtifactError, match="tfds"):
    tfds_tasks.build(small, small_docids, tasks=[FirstP(rate=1.0)])


def test_only_t5_s_vocabulary_is_read(made, docids):
  with pytest.raises(ConfigError, match="'bert_uncased': use mixtures.build"):
    tfds_tasks.build(
      made, docids, tasks=[FirstP(rate=1.0)], vocabulary="bert_uncased"
    )
