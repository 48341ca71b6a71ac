import collections

import numpy as np
import pytest

from genret.tasks import mixtures
from genret.tasks.host_tensorflow import seqio
from genret.tasks.indexing import FirstP
from genret.tasks.retrieval import LabelledQueries
from genret.tasks.seqio_feed import training_dataset

LENGTHS = {"inputs": 32, "targets": 9}


@pytest.fixture(scope="module")
def mixture(small, small_docids):
  return mixtures.build(
    small,
    small_docids,
    tasks=[FirstP(rate=1.0), LabelledQueries(rate=3.0)],
  )


def test_rates_are_respected_by_seqio_too(mixture, small_docids):
  dataset = mixture.get_dataset(split="train", seed=0)
  lengths = {
    task.source.config.name: {
      tuple(task.source.examples[i].tolist())
      for i in range(task.source.examples.num_examples)
    }
    for task in mixture.tasks
  }
  found = collections.Counter(
    tuple(e["inputs"].tolist()) in lengths["labelled"]
    for e in dataset.take(2000).as_numpy_iterator()
  )
  assert abs(found[True] - 1500) < 5 * np.sqrt(2000 * 0.25 * 0.75)


def test_packed_decoder_inputs_restart_and_seqio_says_nothing(mixture, caplog):
  with caplog.at_level("WARNING"):
    dataset = training_dataset(mixture.name, lengths=LENGTHS, batch_size=4)
    batches = list(dataset.take(5).as_numpy_iterator())
  assert not caplog.records
  for batch in batches:
    begins = batch["decoder_positions"] == 0
    assert (batch["decoder_input_tokens"][begins] == 0).all()
    assert batch["decoder_segment_ids"].max() > 1


def test_hosts_divide_the_examples(mixture):
  shards = [
    mixture.get_dataset(
      split="train", seed=0, num_epochs=1, shard_info=seqio.ShardInfo(i, 2)
    )
    for i in range(2)
  ]
  assert all(len(list(shard)) for shard in shards)
