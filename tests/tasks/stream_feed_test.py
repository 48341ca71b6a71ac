"""Batches from arrays alone; `feed_test` opens them from mixtures."""

import json
import subprocess
import sys

import numpy as np
import pytest

from genret.core.docid_table import DocidTable
from genret.core.errors import ConfigError
from genret.tasks.examples import Examples
from genret.tasks.packing import RowLengths
from genret.tasks.states import StateRows
from genret.tasks.stream import CHUNK_EXAMPLES, Chunk, Ingredient, Stream
from genret.tasks.stream_feed import StreamBatches, lay_out, one_pass

LENGTHS = RowLengths(inputs=8, targets=6)
TABLE = DocidTable(
  codes=np.array([[2, 1, 0], [3, 2, 1], [3, 3, 1]]),
  docnos=["a", "b", "c"],
  vocab_size=5,
  scheme="example",
)


def numbered(size: int) -> Examples:
  """Examples of two or three ids, the first of them its number + 2."""
  rows = [(i % 3, [i + 2, 7][: 1 + i % 2]) for i in range(size)]
  return Examples.collect(rows, input_length=8)


def opened(size: int = 5, **settings) -> StreamBatches:
  options = {"batch_size": 4, "pack": True, "identity": {"of": "test"}}
  return StreamBatches(
    Stream([Ingredient(examples=numbered(size))], seed=0),
    table=TABLE,
    lengths=LENGTHS,
    **options | settings,
  )


def equal(one, other) -> bool:
  return one.keys() == other.keys() and all(
    np.array_equal(one[name], other[name]) for name in one
  )


CHUNK = Chunk(  # documents 0 and 2
  tokens=np.array([7, 8, 1, 9, 1], np.uint16),
  lengths=np.array([3, 2]),
  documents=np.array([0, 2]),
)


def test_packed_examples_get_their_docids():
  rows = lay_out(CHUNK, TABLE, LENGTHS, pack=True)
  assert {name: values.tolist() for name, values in rows.items()} == {
    "encoder_input_tokens": [[7, 8, 1, 9, 1, 0, 0, 0]],
    "decoder_target_tokens": [[2, 1, 3, 3, 1, 0]],
    "decoder_input_tokens": [[0, 2, 0, 3, 3, 0]],
    "decoder_loss_weights": [[1, 1, 1, 1, 1, 0]],
    "encoder_segment_ids": [[1, 1, 1, 2, 2, 0, 0, 0]],
    "decoder_segment_ids": [[1, 1, 2, 2, 2, 0]],
    "encoder_positions": [[0, 1, 2, 0, 1, 0, 0, 0]],
    "decoder_positions": [[0, 1, 0, 1, 2, 0]],
  }
  assert {values.dtype for values in rows.values()} == {np.dtype(np.int32)}


def test_plain_examples_have_a_row_each():
  rows = lay_out(CHUNK, TABLE, LENGTHS, pack=False)
  targets = [[2, 1, 0, 0, 0, 0], [3, 3, 1, 0, 0, 0]]
  assert rows["decoder_target_tokens"].tolist() == targets
  assert rows["encoder_input_tokens"][:, :4].tolist() == [
    [7, 8, 1, 0],
    [9, 1, 0, 0],
  ]
  # The last symbol of a docid is followed by nothing that counts.
  assert rows["decoder_input_tokens"][:, :3].tolist() == [[0, 2, 1], [0, 3, 3]]
  assert rows["decoder_loss_weights"].sum(axis=1).tolist() == [2, 3]
  assert len(rows) == 4


def test_an_epoch_of_batches_goes_on_over_chunks():
  """Batches of 3,000 rows lie across the ends of chunks of 4,096."""
  batches = opened(size=3 * CHUNK_EXAMPLES, batch_size=3000, pack=False)
  rows = [next(batches)["encoder_input_tokens"][:, 0] for _ in range(5)]
  firsts = np.concatenate(rows)[: 3 * CHUNK_EXAMPLES]
  assert sorted(firsts.tolist()) == list(range(2, 3 * CHUNK_EXAMPLES + 2))
  assert batches.state()["chunk"] == 3  # the fourth, 2,712 rows in
  assert batches.state()["row"] == 5 * 3000 - 3 * CHUNK_EXAMPLES


def test_a_batch_may_be_larger_than_a_chunk():
  whole = next(opened(batch_size=10_000, pack=False))
  parts = opened(batch_size=1000, pack=False)
  expected = [next(parts) for _ in range(10)]
  assert equal(
    whole,
    {k: np.concatenate([part[k] for part in expected]) for k in whole},
  )


@pytest.mark.parametrize("pack", [True, False])
def test_a_state_goes_on_where_it_was_taken(pack):
  batches = opened(pack=pack, batch_size=1500)
  next(batches)
  state = json.dumps(batches.state())
  expected = [next(batches) for _ in range(4)]
  assert batches.state()["chunk"] >= 1
  other = opened(pack=pack, batch_size=1500)
  for _ in range(3):  # wherever it stands
    next(other)
  other.restore(json.loads(state))
  assert other.state() == json.loads(state)
  assert all(equal(next(other), batch) for batch in expected)


def test_a_state_says_where_even_before_the_first_batch():
  batches = opened()
  state = batches.state()
  first = next(batches)
  assert state["chunk"] == state["row"] == 0
  batches.restore(state)
  assert equal(next(batches), first)


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"batch_size": 8}, "batch_size was 4 there and is 8 here"),
    ({"pack": False}, "pack was True there and is False here"),
    ({"identity": {"of": "another"}}, "of was 'test' there and is 'another'"),
    ({"identity": {"seed": 1}}, "seed was None there and is 1 here"),
  ],
)
def test_a_state_of_other_batches_is_refused(settings, message):
  with pytest.raises(ConfigError, match=message):
    opened(**settings).restore(opened().state())


def test_a_refused_state_changes_nothing():
  batches, same = opened(), opened()
  next(batches), next(same)
  with pytest.raises(ConfigError, match="of was None there"):
    batches.restore({"chunk": 9, "row": 9, "drawn": [9]})
  assert equal(next(batches), next(same))


@pytest.mark.parametrize("pack", [True, False])
def test_one_pass_fills_up_the_last_batch(pack):
  """Every example once, over chunks and tasks; the rest weighs nothing."""
  tasks = [numbered(CHUNK_EXAMPLES + 10), numbered(5)]
  batches = list(
    one_pass(tasks, table=TABLE, lengths=LENGTHS, batch_size=300, pack=pack)
  )
  assert {len(b["encoder_input_tokens"]) for b in batches} == {300}
  inputs = np.concatenate([b["encoder_input_tokens"] for b in batches])
  targets = np.concatenate([b["decoder_target_tokens"] for b in batches])
  weights = np.concatenate([b["decoder_loss_weights"] for b in batches])
  expected = [task.lengths.sum() for task in tasks]
  assert (inputs > 0).sum() == sum(expected)
  assert np.array_equal(weights, targets > 0)
  docids = TABLE.lengths()
  assert weights.sum() == sum(docids[task.documents].sum() for task in tasks)
  used = inputs.any(axis=1)
  assert used.any() and not used.all()
  assert not used[used.sum() :].any()  # empty rows are last


def test_one_pass_of_whole_batches_adds_none():
  batches = one_pass(
    [numbered(6)], table=TABLE, lengths=LENGTHS, batch_size=3, pack=False
  )
  firsts = [b["encoder_input_tokens"][:, 0].tolist() for b in batches]
  assert firsts == [[2, 3, 4], [5, 6, 7]]  # in order
  nothing = one_pass([], table=TABLE, lengths=LENGTHS, batch_size=3, pack=False)
  assert list(nothing) == []


def test_reading_arrays_loads_no_tensorflow():
  code = (
    "import sys, genret.tasks.stream_feed; print('tensorflow' in sys.modules)"
  )
  shown = subprocess.check_output([sys.executable, "-c", code], text=True)
  assert shown == "False\n"


@pytest.mark.parametrize("pack", [True, False])
def test_states_stand_where_their_tokens_do(pack):
  examples = numbered(40)
  ids = examples.tokens.astype(np.float16)
  asked = []

  def states():
    asked.append(True)
    return StateRows([np.stack([ids, -ids], axis=1)])

  def batches(**settings):
    stream = Stream([Ingredient(examples=examples, **settings)], seed=0)
    return StreamBatches(
      stream,
      table=TABLE,
      lengths=LENGTHS,
      batch_size=4,
      pack=pack,
      identity={},
      states=states if settings else None,
    )

  ours, plain = batches(first_place=1), batches()
  assert not asked
  for _ in range(2 * CHUNK_EXAMPLES // 4):
    batch = next(ours)
    found = batch.pop("encoder_states")
    tokens = batch["encoder_input_tokens"]
    assert found.dtype == np.float16 and found.shape == (4, 8, 2)
    assert (found[..., 0] == tokens).all() and (found[..., 1] == -tokens).all()
    assert equal(batch, next(plain))
  assert len(asked) == 1
