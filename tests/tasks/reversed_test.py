import numpy as np
import pytest

from genret.core import text
from genret.core.collection import Document, Query
from genret.core.errors import ConfigError
from genret.tasks import reversed as reversed_pairs
from genret.tasks.packing import RowLengths
from genret.tasks.reversed import HeldOutBatches, PairConfig

ROW = RowLengths(inputs=64, targets=24)


def words(ids):
  return text.vocabulary("t5").decode(ids)


def shown(pairs):
  return [
    (int(row), words(pairs.examples[i]), words(pairs.targets.codes[target]))
    for i, (row, target) in enumerate(
      zip(pairs.rows, pairs.examples.documents, strict=True)
    )
  ]


def test_each_relevant_pair_from_document_to_query(small):
  pairs = reversed_pairs.read(small, PairConfig())
  assert shown(pairs) == [
    (0, "Tower It is tall. It was built.", "what is tall"),
    (1, "A river flows to the sea.", "what spans the river"),
    (2, "Bridge It spans the river. Cars.", "what spans the river"),
  ]
  ids = pairs.targets.codes[0]
  assert ids[ids > 0][-1] == text.Tokenizer.eos_id
  assert pairs.examples[0][-1] == text.Tokenizer.eos_id


def test_grades_stand_before_the_document_and_all_are_read(small):
  pairs = reversed_pairs.read(small, PairConfig(grades=True, title=False))
  assert shown(pairs) == [
    (0, "grade 1: It is tall. It was built.", "what is tall"),
    (0, "grade 0: It is tall. It was built.", "what spans the river"),
    (1, "grade 1: A river flows to the sea.", "what spans the river"),
    (2, "grade 2: It spans the river. Cars.", "what spans the river"),
  ]


def test_another_vocabulary_reads_and_t5s_writes(small):
  bert = text.vocabulary("bert_uncased")
  pairs = reversed_pairs.read(small, PairConfig(), vocabulary="bert_uncased")
  want = bert.encode(["A river flows to the sea."], max_length=64)[0]
  assert pairs.examples[1].tolist() == want
  assert words(pairs.targets.codes[1]) == "what spans the river"


def test_some_of_the_pairs(small):
  pairs = reversed_pairs.read(small, PairConfig())
  some = pairs.only(np.array([True, False, True]))
  assert shown(some) == [shown(pairs)[0], shown(pairs)[2]]
  assert pairs.questions.tolist() == [0, 1, 1]
  assert some.questions.tolist() == [0, 1]
  assert some.grades.tolist() == [1, 2]
  assert len(some) == 2


def test_empty_and_endless_documents(new_collection, tmp_path):
  found = new_collection(
    tmp_path / "odd",
    documents=[
      Document(docno="empty", title="", text=""),
      Document(docno="long", title="", text="word " * 100_000),
    ],
    queries=[Query(query_id="q", text="which word")],
    qrels={"train": {"q": {"empty": 1, "long": 1}}},
  )
  pairs = reversed_pairs.read(found, PairConfig(inputs_length=32))
  assert (len(pairs), pairs.num_empty) == (1, 1)
  assert len(pairs.examples[0]) == 32
  assert pairs.examples.num_truncated == 1
  with pytest.raises(ConfigError, match="no split 'dev'"):
    reversed_pairs.read(found, PairConfig(split="dev"))


def batches(pairs, **more):
  return reversed_pairs.training_batches(
    pairs, lengths=ROW, batch_size=2, **more
  )


def test_batches_hold_whole_pairs_and_can_go_on(small):
  pairs = reversed_pairs.read(small, PairConfig())
  feed = batches(pairs)
  first = next(feed)
  inputs, targets = (
    {
      words(row[segments == n])
      for row, segments in zip(
        first[f"{side}_tokens"], first[f"{part}_segment_ids"], strict=True
      )
      for n in range(1, segments.max() + 1)
    }
    for side, part in (
      ("encoder_input", "encoder"),
      ("decoder_target", "decoder"),
    )
  )
  assert inputs <= {document for _, document, _ in shown(pairs)}
  assert targets <= {query for _, _, query in shown(pairs)}
  state = feed.state()
  second = next(feed)
  again = batches(pairs)
  again.restore(state)
  for name, rows in next(again).items():
    np.testing.assert_array_equal(rows, second[name])
  with pytest.raises(ConfigError, match="seed was 0 there and is 1"):
    batches(pairs, seed=1).restore(state)


def test_held_out_batches_come_round_and_are_shared_by_rows(small):
  pairs = reversed_pairs.read(small, PairConfig())
  options = {"lengths": ROW, "batch_size": 2, "pack": False}
  feed = HeldOutBatches(pairs, **options)
  assert (feed.rows_a_batch, feed.rows_an_epoch) == (2, 4)
  start = feed.state()
  first, second, third = (next(feed) for _ in range(3))
  assert second["decoder_loss_weights"][1].sum() == 0  # there are three
  np.testing.assert_array_equal(
    first["encoder_input_tokens"], third["encoder_input_tokens"]
  )
  feed.restore(start)
  halves = [HeldOutBatches(pairs, **options, shard=(i, 2)) for i in range(2)]
  for name, rows in next(feed).items():
    parts = [next(half)[name] for half in halves] if name else []
    np.testing.assert_array_equal(np.concatenate(parts), rows)
    for half in halves:
      half.restore(start)


def test_a_row_that_is_too_short_is_refused(small):
  pairs = reversed_pairs.read(small, PairConfig())
  for lengths, what in (
    (RowLengths(inputs=4, targets=24), "documents have"),
    (RowLengths(inputs=64, targets=3), "queries have"),
  ):
    with pytest.raises(ConfigError, match=what):
      reversed_pairs.training_batches(pairs, lengths=lengths, batch_size=2)


@pytest.mark.parametrize("name", ["inputs_length", "targets_length"])
def test_lengths_that_cannot_be(name):
  with pytest.raises(ConfigError, match=f"{name} is 1; expected"):
    PairConfig(**{name: 1})
