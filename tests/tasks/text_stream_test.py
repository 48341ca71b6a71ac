import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genret.core.errors import ArtifactError, ConfigError
from genret.tasks import text_stream
from genret.tasks.span_corruption import FIRST_SENTINEL, NUM_SENTINELS
from genret.tasks.text_stream import Text, TextBatches

# Every id of a text is its place there, 10 the first.
DOCUMENTS = [
  list(block)
  for block in np.split(np.arange(10, 310), [7, 8, 50, 130, 131, 200, 290])
]
TEXT = Text.of(DOCUMENTS)


def opened(text=TEXT, **settings) -> TextBatches:
  return TextBatches(
    text, **{"inputs_length": 16, "batch_size": 4, "seed": 3} | settings
  )


def equal(one, other) -> bool:
  return one.keys() == other.keys() and all(
    np.array_equal(one[name], other[name]) for name in one
  )


def pieces(batch) -> list[list[int]]:
  """Undoes the corruption."""
  out = []
  for inputs, targets in zip(
    batch["encoder_input_tokens"], batch["decoder_target_tokens"], strict=True
  ):
    spans = {}
    for token in targets[:-1].tolist():
      if token > FIRST_SENTINEL - NUM_SENTINELS:
        span = spans[token] = []
      else:
        span.append(token)
    row = [spans.get(token, [token]) for token in inputs[:-1].tolist()]
    out.append(list(itertools.chain(*row)))
  return out


def test_features_are_full_rows():
  batches = opened()
  batch = next(batches)
  assert batches.lengths == text_stream.span_corruption.Lengths(
    raw=17, inputs=16, targets=5
  )
  assert {name: rows.shape for name, rows in batch.items()} == {
    "encoder_input_tokens": (4, 16),
    "decoder_target_tokens": (4, 5),
    "decoder_input_tokens": (4, 5),
    "decoder_loss_weights": (4, 5),
  }
  assert all(rows.dtype == np.int32 for rows in batch.values())
  targets, inputs = (
    batch["decoder_target_tokens"],
    batch["decoder_input_tokens"],
  )
  assert (inputs[:, 0] == 0).all()
  np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])


def test_an_epoch_reads_documents_end_to_end_in_some_order():
  batches = opened(batch_size=17)
  assert batches.rows_an_epoch == 300 // 17 == 17
  read = list(itertools.chain(*pieces(next(batches))))
  whole = [doc for doc in DOCUMENTS if doc[0] in read and doc[-1] in read]
  for document in whole:
    start = read.index(document[0])
    assert read[start : start + len(document)] == document
  assert len(set(read)) == len(read) == 17 * 17
  assert len(whole) >= len(DOCUMENTS) - 1  # the last may be cut


def test_order_and_noise_are_drawn_anew_each_epoch():
  one, other = opened(batch_size=17), opened(batch_size=17)
  first, second = next(one), next(one)
  assert equal(first, next(other))
  assert pieces(first) != pieces(second)
  piece = list(range(10, 45))
  single = opened(Text.of([piece]), batch_size=1, inputs_length=33)
  assert single.lengths.raw == len(piece)
  batches = [next(single) for _ in range(20)]
  assert all(pieces(batch) == [piece] for batch in batches)
  noised = {batch["encoder_input_tokens"].tobytes() for batch in batches}
  assert len(noised) > 10


def test_another_seed_is_another_order():
  assert pieces(next(opened())) != pieces(next(opened(seed=4)))


@given(st.integers(0, 60), st.integers(0, 60))
def test_goes_on_where_a_state_was_taken(before, after):
  one, other = opened(), opened()
  for _ in range(before):
    next(one)
  state = json.loads(json.dumps(one.state()))
  expected = [next(one) for _ in range(5)]
  for _ in range(after):
    next(other)
  other.restore(state)
  assert other.state() == state
  assert all(equal(batch, next(other)) for batch in expected)


@pytest.mark.parametrize("num_shards", [2, 4])
def test_shards_are_the_parts_of_one_batch(num_shards):
  whole = opened(batch_size=8)
  shards = [
    opened(batch_size=8 // num_shards, shard=shard, num_shards=num_shards)
    for shard in range(num_shards)
  ]
  for _ in range(8):  # over the end of an epoch
    parts = [next(shard) for shard in shards]
    joined = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
    assert equal(joined, next(whole))


@pytest.mark.parametrize(
  ("other", "named"),
  [
    ({"batch_size": 2}, "batch_size was 4 there and is 2 here"),
    ({"seed": 5}, "seed was 3 there"),
    ({"inputs_length": 18}, "inputs was 16 there"),
    ({"shard": 1, "num_shards": 2}, "shard was 0 there"),
  ],
)
def test_a_state_of_other_batches_is_refused(other, named):
  with pytest.raises(ConfigError, match=named):
    opened(**other).restore(opened().state())


def test_too_little_text_is_refused():
  with pytest.raises(
    ConfigError, match="takes 568 ids of text; there are 300 in 8 documents"
  ):
    opened(inputs_length=512)
  with pytest.raises(ConfigError, match="batch_size must be at least 1"):
    opened(batch_size=0)


def test_a_text_on_disk_is_whole_or_refused(tmp_path):
  (tmp_path / text_stream.TOKENS).write_bytes(TEXT.tokens.tobytes())
  np.save(tmp_path / text_stream.OFFSETS, TEXT.offsets)
  assert equal(next(opened(Text.load(tmp_path))), next(opened()))
  (tmp_path / text_stream.TOKENS).write_bytes(TEXT.tokens.tobytes()[:-2])
  with pytest.raises(ArtifactError, match="has 598 bytes and 600 are expected"):
    Text.load(tmp_path)
