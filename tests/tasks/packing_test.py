import numpy as np
import pytest
from hypothesis import given, strategies

from genret.tasks.host_tensorflow import seqio, tf
from genret.tasks.packing import (
  STATE_PLACES,
  RowLengths,
  Sequences,
  best_fit,
  encoder_decoder_features,
  one_a_row,
)

LENGTHS = RowLengths(inputs=16, targets=8)

examples_strategy = strategies.lists(
  strategies.tuples(
    strategies.lists(strategies.integers(2, 99), min_size=1, max_size=16),
    strategies.lists(strategies.integers(2, 99), min_size=1, max_size=4),
  ),
  min_size=1,
  max_size=60,
)


def lay_out(examples, *, pack):
  inputs, targets = zip(*examples, strict=True)
  sequences = Sequences(
    inputs=np.concatenate(inputs),
    input_lengths=np.array([len(row) for row in inputs]),
    targets=np.concatenate(targets),
    target_lengths=np.array([len(row) for row in targets]),
  )
  if pack:
    layout = best_fit(
      sequences.input_lengths, sequences.target_lengths, LENGTHS
    )
  else:
    layout = one_a_row(len(examples))
  return encoder_decoder_features(sequences, layout, LENGTHS, packed=pack)


def unpack(row):
  """Takes a packed row apart, by its segment ids."""
  for segment in range(1, row["encoder_segment_ids"].max() + 1):
    encoder = row["encoder_segment_ids"] == segment
    decoder = row["decoder_segment_ids"] == segment
    yield (
      row["encoder_input_tokens"][encoder].tolist(),
      row["decoder_target_tokens"][decoder].tolist(),
    )


def rows_of(features):
  size = len(features["encoder_input_tokens"])
  return [{k: v[i] for k, v in features.items()} for i in range(size)]


@given(examples_strategy)
def test_packing_keeps_exactly_the_examples(examples):
  features = lay_out(examples, pack=True)
  found = [e for row in rows_of(features) for e in unpack(row)]
  assert sorted(found) == sorted(examples)


@given(examples_strategy)
def test_decoder_inputs_restart_with_zero_at_each_example(examples):
  features = lay_out(examples, pack=True)
  for row in rows_of(features):
    for segment in range(1, row["decoder_segment_ids"].max() + 1):
      cells = np.flatnonzero(row["decoder_segment_ids"] == segment)
      targets = row["decoder_target_tokens"][cells].tolist()
      assert row["decoder_input_tokens"][cells].tolist() == [0, *targets[:-1]]
      assert row["decoder_positions"][cells].tolist() == list(
        range(len(targets))
      )
      assert (row["decoder_loss_weights"][cells] == 1).all()
    assert (
      row["decoder_loss_weights"] == (row["decoder_segment_ids"] > 0)
    ).all()


def seqio_rows(examples, *, pack):
  dataset = tf.data.Dataset.from_generator(
    lambda: ({"inputs": i, "targets": t} for i, t in examples),
    output_signature={
      "inputs": tf.TensorSpec([None], tf.int32),
      "targets": tf.TensorSpec([None], tf.int32),
    },
  )
  converter = seqio.EncDecFeatureConverter(pack=pack)
  lengths = {"inputs": LENGTHS.inputs, "targets": LENGTHS.targets}
  return list(converter(dataset, lengths).as_numpy_iterator())


def assert_same_rows(ours, theirs):
  for row, expected in zip(ours, theirs, strict=True):
    assert row.keys() == expected.keys()
    for name, values in expected.items():
      np.testing.assert_array_equal(row[name], values, err_msg=name)
      assert row[name].dtype == values.dtype


def test_a_packed_row_is_that_of_seqio():
  """Seqio, given the examples of one row, makes this very row."""
  examples = [([i] * (i % 5 + 1), [i, 1][: i % 2 + 1]) for i in range(2, 20)]
  row = rows_of(lay_out(examples, pack=True))[1]
  inside = list(unpack(row))
  assert len(inside) > 2
  assert_same_rows([row], seqio_rows(inside, pack=True))


def test_plain_rows_are_those_of_seqio():
  examples = [([5, 6, 1], [4, 1]), ([7] * 16, [9] * 8), ([8], [3])]
  ours = rows_of(lay_out(examples, pack=False))
  assert_same_rows(ours, seqio_rows(examples, pack=False))


def test_rows_are_filled_where_the_least_room_is_left():
  lengths = RowLengths(inputs=10, targets=10)
  layout = best_fit([7, 6, 3, 4], [1] * 4, lengths)
  assert layout.rows.tolist() == [0, 1, 0, 1]
  assert layout.num_rows == 2
  assert layout.segments.tolist() == [1, 1, 2, 2]


def test_targets_limit_the_examples_of_a_row():
  lengths = RowLengths(inputs=100, targets=8)
  layout = best_fit([2] * 10, [3] * 10, lengths)
  assert np.bincount(layout.rows).tolist() == [2] * 5


def test_one_symbol_targets_fill_a_row():
  lengths = RowLengths(inputs=100, targets=16)
  layout = best_fit([2] * 32, [1] * 32, lengths)
  assert layout.num_rows == 2


@pytest.mark.parametrize("pack", [True, False])
def test_features_are_int32(pack):
  features = lay_out([([5, 1], [4])], pack=pack)
  assert {v.dtype for v in features.values()} == {np.dtype(np.int32)}


def test_places_stand_where_their_ids_do():
  sequences = Sequences(
    inputs=np.array([7, 8, 1, 9, 1]),
    input_lengths=np.array([3, 2]),
    targets=np.array([4, 5]),
    target_lengths=np.array([1, 1]),
    places=np.array([1 << 40, 5, 6, 2, 3]),
  )
  layout = best_fit([3, 2], [1, 1], RowLengths(inputs=6, targets=2))
  features = encoder_decoder_features(
    sequences, layout, RowLengths(inputs=6, targets=2), packed=True
  )
  assert features[STATE_PLACES].dtype == np.int64
  assert features[STATE_PLACES].tolist() == [[1 << 40, 5, 6, 2, 3, 0]]
