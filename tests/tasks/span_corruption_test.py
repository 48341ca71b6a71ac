import collections
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genret.core.errors import ConfigError
from genret.tasks.span_corruption import (
  FIRST_SENTINEL,
  NUM_SENTINELS,
  SpanCorruption,
  corrupt,
)

T5 = SpanCorruption()
SMALL = SpanCorruption(noise_density=0.4, mean_span_length=2.0)
corruptions = st.builds(
  SpanCorruption,
  noise_density=st.floats(0.01, 0.9),
  mean_span_length=st.floats(1.0, 20.0),
)


def is_sentinel(token: int) -> bool:
  return FIRST_SENTINEL - NUM_SENTINELS < token <= FIRST_SENTINEL


def by_hand(tokens, dropped):
  """Puts a row together span by span."""
  inputs, targets = [], []
  sides = {True: (targets, inputs), False: (inputs, targets)}
  seen = {True: 0, False: 0}
  spans = itertools.groupby(
    zip(tokens, dropped, strict=True), lambda pair: bool(pair[1])
  )
  for lost, span in spans:
    there, missing = sides[lost]
    there += [token for token, _ in span]
    missing.append(FIRST_SENTINEL - seen[lost])
    seen[lost] += 1
  return [*inputs, 1], [*targets, 1]


def put_back(inputs, targets):
  """Writes each dropped span where its sentinel stands."""
  spans, open_span = {}, None
  for token in targets[:-1]:
    if is_sentinel(token):
      open_span = spans[token] = []
    else:
      open_span.append(token)
  out = []
  for token in inputs[:-1]:
    out += spans[token] if is_sentinel(token) else [token]
  return out


@given(corruptions, st.integers(3, 600), st.integers(0, 2**32))
def test_every_token_is_once_on_one_side_in_order(how, length, seed):
  spans = how.num_spans(length)
  rng = np.random.default_rng(seed)
  tokens = rng.integers(3, 31_900, (2, length)).astype(np.uint16)
  dropped = how.masks(rng, rows=2, length=length)
  assert (dropped.sum(axis=1) == how.num_dropped(length)).all()
  found = corrupt(tokens, dropped)
  assert found.inputs.dtype == found.targets.dtype == np.int32
  for row in range(2):
    inputs, targets = found.inputs[row].tolist(), found.targets[row].tolist()
    assert (inputs, targets) == by_hand(tokens[row].tolist(), dropped[row])
    assert inputs[-1] == targets[-1] == 1
    if spans <= NUM_SENTINELS:
      sentinels = list(range(FIRST_SENTINEL, FIRST_SENTINEL - spans, -1))
      assert list(filter(is_sentinel, inputs)) == sentinels
      assert list(filter(is_sentinel, targets)) == sentinels
      assert put_back(inputs, targets) == tokens[row].tolist()


@given(corruptions, st.integers(3, 700))
def test_lengths_are_those_that_come_out(how, inputs):
  try:
    lengths = how.lengths(inputs)
  except ConfigError as error:
    assert "sentinels" in str(error)
    return
  rng = np.random.default_rng(0)
  dropped = how.masks(rng, rows=1, length=lengths.raw)
  found = corrupt(np.full((1, lengths.raw), 7, np.uint16), dropped)
  assert inputs - 1 <= lengths.inputs <= inputs
  assert found.inputs.shape == (1, lengths.inputs)
  assert found.targets.shape == (1, lengths.targets)
  # One id more would not fit.
  more = lengths.raw + 1
  assert more - how.num_dropped(more) + how.num_spans(more) + 1 > inputs


def test_noise_has_the_density_and_the_spans_of_t5():
  dropped = T5.masks(np.random.default_rng(0), rows=500, length=568)
  assert dropped.mean() == pytest.approx(85 / 568)
  starts = dropped[:, 1:] & ~dropped[:, :-1]
  assert (starts.sum(axis=1) == 28).all()  # 85 / 3 is 28.3
  # Each place but the first and the last ones is as good as any other.
  middle = dropped[:, 50:-50].mean(axis=0)
  assert np.abs(middle - 85 / 568).max() < 0.1


def test_all_masks_are_equally_likely():
  """4 of 10 in two spans: 5 ways to cut what is kept, 3 what is dropped."""
  rows = 15_000
  dropped = SMALL.masks(np.random.default_rng(1), rows=rows, length=10)
  counts = collections.Counter(map(bytes, dropped))
  assert len(counts) == math.comb(5, 1) * math.comb(3, 1)
  expected = rows / len(counts)
  chi_square = sum((n - expected) ** 2 / expected for n in counts.values())
  assert chi_square < 36.1  # the 0.999 quantile of 14 degrees of freedom


def test_a_text_that_goes_on_ends_with_a_sentinel():
  found = corrupt(np.array([[5, 6, 7]]), np.array([[False, True, False]]))
  assert found.inputs.tolist() == [[5, 32099, 7, 1]]
  assert found.targets.tolist() == [[32099, 6, 32098, 1]]


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"noise_density": 0.0}, "noise_density lies between 0 and 1; 0.0 came"),
    ({"noise_density": 1.0}, "noise_density lies"),
    ({"mean_span_length": 0.5}, "mean_span_length is 0.5; expected 1"),
  ],
)
def test_settings_that_cannot_be(settings, message):
  with pytest.raises(ConfigError, match=message):
    SpanCorruption(**settings)


def test_inputs_too_short_and_too_long():
  with pytest.raises(ConfigError, match="Inputs of 2 ids hold no corrupted"):
    T5.lengths(2)
  assert T5.lengths(1800).raw <= 2010
  with pytest.raises(ConfigError, match="T5 has 100 sentinels"):
    T5.lengths(2048)


# Against t5 itself.


@pytest.fixture(scope="module")
def t5():
  return pytest.importorskip(
    "t5.data.preprocessors",
    reason="t5 is not installed: it is no part of any extra, since it brings"
    " all of its evaluation along",
    exc_type=ImportError,
  )


@pytest.mark.parametrize("inputs", [16, 64, 100, 114, 256, 511, 512, 1024])
def test_lengths_are_those_of_t5(t5, inputs):
  raw, targets = t5.random_spans_helper(
    inputs_length=inputs,
    noise_density=0.15,
    mean_noise_span_length=3.0,
    extra_tokens_per_span_inputs=1,
    extra_tokens_per_span_targets=1,
  )
  found = T5.lengths(inputs)
  assert found.inputs == inputs
  assert (found.raw, found.targets) == (raw, targets)


def test_rows_are_those_of_t5_for_its_own_mask(t5):
  import seqio
  import tensorflow as tf

  vocabulary = seqio.PassThroughVocabulary(FIRST_SENTINEL + 1)
  tokens = np.arange(100, 100 + 568)
  for seed in range(5):
    seeds = tf.constant([[seed, 1], [2, seed]])
    mask = t5.random_spans_noise_mask(568, 0.15, seeds).numpy()
    assert mask.sum() == T5.num_dropped(568)
    arguments = (tf.constant(tokens), tf.constant(mask), vocabulary, seeds)
    inputs = t5.noise_span_to_unique_sentinel(*arguments).numpy().tolist()
    targets = t5.nonnoise_span_to_unique_sentinel(*arguments).numpy().tolist()
    found = corrupt(tokens[None], mask[None])
    assert found.inputs[0].tolist() == [*inputs, 1]
    assert found.targets[0].tolist() == [*targets, 1]


def test_masks_are_those_that_t5_draws(t5):
  """The 15 masks of ten ids, and counts for every other length."""
  import tensorflow as tf

  theirs = {
    bytes(
      t5.random_spans_noise_mask(
        10, 0.4, tf.constant([[seed, 0], [0, seed]]), 2.0
      ).numpy()
    )
    for seed in range(150)
  }
  ours = SMALL.masks(np.random.default_rng(0), rows=500, length=10)
  assert theirs == set(map(bytes, ours))
  for length in (2, 3, 5, 9, 10, 30, 47, 100, 333, 568, 600):
    seeds = tf.constant([[1, 2], [3, 4]])
    mask = t5.random_spans_noise_mask(length, 0.15, seeds).numpy()
    spans = (mask[1:] & ~mask[:-1]).sum()
    assert mask.sum() == T5.num_dropped(length)
    assert spans == T5.num_spans(length)
