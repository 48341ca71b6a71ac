import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import ConfigError
from genret.tasks.examples import Examples
from genret.tasks.stream import (
  CHUNK_EXAMPLES,
  STORED_ORDER,
  Chunk,
  Ingredient,
  Position,
  Stream,
  drop_tokens,
  take,
)


def numbered(size: int, *, first: int = 0) -> Examples:
  """Examples whose document and only token are their number."""
  rows = [(first + i, [first + i + 2]) for i in range(size)]
  return Examples.collect(rows, input_length=8)


def read(stream: Stream, chunks: int) -> list[Chunk]:
  position, found = stream.start, []
  for _ in range(chunks):
    found.append(stream.read(position))
    position = stream.after(position)
  return found


def same(one: Chunk, other: Chunk) -> bool:
  return all(
    np.array_equal(getattr(one, name), getattr(other, name))
    for name in ("tokens", "lengths", "documents")
  )


def test_an_epoch_reads_each_example_once():
  size = CHUNK_EXAMPLES // 4
  [chunk] = read(Stream([Ingredient(examples=numbered(size))], seed=0), 1)
  assert np.bincount(chunk.documents).tolist() == [4] * size


def test_epochs_go_on_from_chunk_to_chunk_in_new_orders():
  size = CHUNK_EXAMPLES * 2
  stream = Stream([Ingredient(examples=numbered(size))], seed=0)
  chunks = [c.documents for c in read(stream, 4)]
  for epoch in (chunks[:2], chunks[2:]):
    assert sorted(np.concatenate(epoch).tolist()) == list(range(size))
  assert not np.array_equal(np.sort(chunks[0]), np.sort(chunks[2]))


def test_inputs_stay_with_their_documents():
  stream = Stream(
    [
      Ingredient(examples=numbered(50)),
      Ingredient(examples=numbered(70, first=100)),
    ],
    seed=3,
  )
  [chunk] = read(stream, 1)
  assert chunk.lengths.tolist() == [2] * CHUNK_EXAMPLES
  assert (chunk.tokens[::2] == chunk.documents + 2).all()
  assert (chunk.tokens[1::2] == 1).all()


def test_rates_are_respected():
  rates = np.array([1.0, 2.0, 5.0])
  stream = Stream(
    [
      Ingredient(examples=numbered(10, first=100 * i), rate=rate)
      for i, rate in enumerate(rates)
    ],
    seed=0,
  )
  drawn = np.concatenate([c.documents for c in read(stream, 5)]) // 100
  counts = np.bincount(drawn, minlength=3)
  expected = counts.sum() * rates / rates.sum()
  chi_square = ((counts - expected) ** 2 / expected).sum()
  assert chi_square < 13.8  # two degrees of freedom, p = .001
  assert stream.after(stream.start).drawn == tuple(
    np.bincount(read(stream, 1)[0].documents // 100, minlength=3)
  )


def test_a_tiny_rate_may_leave_a_chunk_without_its_task():
  stream = Stream(
    [
      Ingredient(examples=numbered(10)),
      Ingredient(
        examples=numbered(10, first=100), rate=1e-9, token_dropout=(0.1, 0.5)
      ),
    ],
    seed=0,
  )
  assert read(stream, 1)[0].documents.max() < 100


def test_an_order_too_large_to_keep_is_computed():
  size = STORED_ORDER + 1
  examples = Examples(
    tokens=np.broadcast_to(np.uint16(1), size),
    offsets=np.arange(size + 1),
    documents=np.arange(size, dtype=np.int32),
  )
  stream = Stream([Ingredient(examples=examples)], seed=0)
  tracemalloc.start()
  chunks = read(stream, 20)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < 16 << 20  # an order would be 64 MiB
  drawn = np.concatenate([c.documents for c in chunks])
  assert len(np.unique(drawn)) == 20 * CHUNK_EXAMPLES
  mean = drawn.mean() / size
  assert abs(mean - 0.5) < 0.005  # five standard deviations
  last = Position(chunk=7, drawn=(size - 100,))  # goes on with another epoch
  assert same(
    stream.read(last),
    Stream([Ingredient(examples=examples)], seed=0).read(last),
  )


def test_a_chunk_of_mapped_examples_is_all_that_is_copied(tmp_path):
  path = tmp_path / "tokens"
  with open(path, "wb") as file:
    file.truncate(1 << 30)  # a gigabyte on paper, nothing on disk
  size = 1 << 16
  examples = Examples(
    tokens=np.memmap(path, np.uint16, mode="r").view(np.ndarray),
    offsets=np.arange(size + 1) * (1 << 13),
    documents=np.arange(size, dtype=np.int32),
  )
  chosen = np.random.default_rng(0).integers(0, size, 16)
  tracemalloc.start()
  chunk = take(examples, chosen)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert len(chunk.tokens) == 16 << 13
  assert peak < 40 * len(chunk.tokens)  # an index of 8 bytes, and its sums


def test_todays_orders_stay():
  stream = Stream([Ingredient(examples=numbered(5000))], seed=7)
  found = [c.documents[:4].tolist() for c in read(stream, 2)]
  # As this package read them when orders were always kept.
  assert found == [[1727, 1165, 3729, 2941], [3469, 1906, 234, 2024]]


def test_the_seed_decides():
  def chunk(seed):
    return read(Stream([Ingredient(examples=numbered(999))], seed=seed), 2)[1]

  assert same(chunk(5), chunk(5))
  assert not same(chunk(5), chunk(6))


def test_a_chunk_can_be_read_alone():
  ingredients = [
    Ingredient(examples=numbered(1000), token_dropout=(0.0, 0.5)),
    Ingredient(examples=numbered(300, first=5000)),
  ]
  stream = Stream(ingredients, seed=1)
  third = stream.after(stream.after(stream.start))
  expected = read(stream, 3)[2]
  assert same(Stream(ingredients, seed=1).read(third), expected)


def test_shards_divide_the_stream():
  ingredients = [
    Ingredient(examples=numbered(1000)),
    Ingredient(examples=numbered(300, first=5000), rate=2.0),
  ]
  whole = read(Stream(ingredients, seed=1), 6)
  for shard in range(3):
    part = Stream(ingredients, seed=1, shard=shard, num_shards=3)
    for ours, theirs in zip(read(part, 2), whole[shard::3], strict=True):
      assert same(ours, theirs)


@pytest.mark.parametrize(
  "settings", [{"seed": -1}, {"seed": 0, "shard": 2, "num_shards": 2}]
)
def test_wrong_settings_are_refused(settings):
  with pytest.raises(ConfigError):
    Stream([Ingredient(examples=numbered(3))], **settings)


def test_dropout_leaves_out_the_share_it_says():
  lengths = np.full(4000, 21)
  tokens = np.tile(np.r_[np.arange(2, 22), 1], 4000)
  chunk = Chunk(tokens=tokens, lengths=lengths, documents=np.arange(4000))
  dropped = drop_tokens(chunk, (0.3, 0.7), np.random.default_rng(0))
  left = (dropped.lengths - 1) / 20
  assert abs(left.mean() - 0.5) < 0.01
  # The variance of a binomial plus that of the shares themselves.
  assert abs(left.var() - (0.4**2 / 12 + 0.2367 / 20)) < 0.002
  ends = np.cumsum(dropped.lengths)
  assert (dropped.tokens[ends - 1] == 1).all()
  for i in range(0, 4000, 400):
    row = dropped.tokens[ends[i] - dropped.lengths[i] : ends[i] - 1]
    assert (np.diff(row) > 0).all()


def test_dropout_leaves_no_input_empty():
  examples = numbered(100)
  chunk = take(examples, np.arange(100))
  dropped = drop_tokens(chunk, (0.9, 0.9), np.random.default_rng(0))
  assert same(dropped, chunk)


@settings(deadline=None, max_examples=100)
@given(
  inner=st.lists(st.integers(1, 20), min_size=1, max_size=40),
  num_start=st.integers(0, 2),
  share=st.floats(0.0, 0.99),
  seed=st.integers(0, 1 << 30),
)
def test_dropout_leaves_markers_where_they_are(inner, num_start, share, seed):
  examples = Examples.collect(
    [(i, range(200, 200 + size)) for i, size in enumerate(inner)],
    input_length=32,
    start_ids=range(100, 100 + num_start),
    end_id=103,
  )
  whole = take(examples, np.arange(len(inner)))
  rng = np.random.default_rng(seed)
  dropped = drop_tokens(whole, (0.0, share), rng)
  assert dropped.num_start == num_start
  assert dropped.documents.tolist() == whole.documents.tolist()
  ends = np.cumsum(dropped.lengths)
  assert ends[-1] == len(dropped.tokens)
  for i, (end, length) in enumerate(zip(ends, dropped.lengths, strict=True)):
    row = dropped.tokens[end - length : end].tolist()
    assert row[:num_start] == list(range(100, 100 + num_start))
    assert row[-1] == 103
    left = row[num_start:-1]
    assert left and left == sorted(set(left))
    assert set(left) <= set(range(200, 200 + inner[i]))


def test_places_say_where_each_token_was_read():
  several = [
    Examples.collect(
      [(i, range(2 + i, 2 + i + i % 7 + 1)) for i in range(size)],
      input_length=12,
    )
    for size in (60, 35)
  ]
  firsts = (1, 1 + len(several[0].tokens))
  ingredients = [
    Ingredient(examples=examples, token_dropout=dropout, first_place=first)
    for examples, dropout, first in zip(
      several, [(0.0, 0.0), (0.2, 0.9)], firsts, strict=True
    )
  ]
  [chunk] = read(Stream(ingredients, seed=3), 1)
  tokens = np.concatenate([[0], *(e.tokens for e in several)])
  assert (tokens[chunk.places] == chunk.tokens).all()
  assert {0, 1} == set(np.digitize(chunk.places, firsts) - 1)
  plain = [dataclasses.replace(i, first_place=None) for i in ingredients]
  [without] = read(Stream(plain, seed=3), 1)
  assert without.places is None and same(without, chunk)
