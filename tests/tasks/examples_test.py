import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genret.core.errors import ConfigError
from genret.core.text import Tokenizer
from genret.tasks.examples import (
  BLOCK_TEXTS,
  Examples,
  Texts,
  encode_texts,
  in_blocks,
)
from genret.tasks.indexing import FirstP


def test_inputs_are_cut_as_t5_does_and_counted():
  rows = [(0, [5, 6, 7]), (1, [5, 6]), (1, []), (2, [9] * 10)]
  examples = Examples.collect(rows, input_length=4)
  inputs = [examples[i].tolist() for i in range(examples.num_examples)]
  assert inputs == [[5, 6, 7, 1], [5, 6, 1], [9, 9, 9, 1]]
  assert examples.documents.tolist() == [0, 1, 2]
  assert examples.lengths.tolist() == [4, 3, 4]
  assert examples.num_truncated == 1


def test_no_rows_are_no_examples():
  examples = Examples.collect([], input_length=4)
  assert examples.num_examples == 0
  assert examples.tokens.dtype == np.uint16


def test_many_texts_keep_their_keys():
  texts = [(i, f"number {i}") for i in range(2500)]
  tokenizer = Tokenizer()
  for (key, ids), (expected, text) in zip(
    encode_texts(texts, tokenizer), texts, strict=True
  ):
    assert key == expected
    assert [*ids, 1] == tokenizer.encode([text], max_length=64)[0]


@pytest.mark.parametrize("rate", [0, -1.0, float("nan"), float("inf"), "1"])
def test_wrong_rates_are_refused(rate):
  with pytest.raises(ConfigError, match="'task': rate must be a number over"):
    FirstP(rate=rate, name="task")


@pytest.mark.parametrize(
  "dropout", [0.5, (0.5,), (0.6, 0.5), (-0.1, 0.5), (0.0, 1.0), ("a", "b")]
)
def test_wrong_dropout_is_refused(dropout):
  with pytest.raises(ConfigError, match="token_dropout must be two shares"):
    FirstP(rate=1.0, token_dropout=dropout)


def test_blocks_are_put_end_to_end():
  rows = [(i, list(range(2, 2 + i % 5))) for i in range(40)]
  whole = Examples.collect(rows, input_length=4)
  blocks = [
    Examples.collect(rows[i : i + 7], input_length=4) for i in range(0, 40, 7)
  ]
  joined = Examples.joined(blocks)
  for name in ("tokens", "offsets", "documents"):
    ours, theirs = getattr(joined, name), getattr(whole, name)
    assert ours.dtype == theirs.dtype and (ours == theirs).all()
  assert joined.num_truncated == whole.num_truncated == 8
  assert joined.longest == 4
  assert joined.num_covered(50) == 32


def test_texts_are_gathered_in_blocks():
  blocks = list(in_blocks((i, str(i)) for i in range(BLOCK_TEXTS + 1)))
  assert [len(block.texts) for block in blocks] == [BLOCK_TEXTS, 1]
  assert blocks[1] == Texts(documents=(BLOCK_TEXTS,), texts=(str(BLOCK_TEXTS),))


@settings(deadline=None, max_examples=100)
@given(
  rows=st.lists(
    st.tuples(
      st.integers(0, 9), st.lists(st.integers(200, 30_000), max_size=12)
    ),
    max_size=20,
  ),
  input_length=st.integers(4, 12),
  start_ids=st.lists(st.integers(100, 102), max_size=2),
)
def test_every_input_stands_between_start_and_end(
  rows, input_length, start_ids
):
  examples = Examples.collect(
    rows, input_length=input_length, start_ids=start_ids, end_id=103
  )
  room = input_length - len(start_ids) - 1
  kept = [(document, ids) for document, ids in rows if ids]
  assert examples.documents.tolist() == [document for document, _ in kept]
  assert [examples[i].tolist() for i in range(examples.num_examples)] == [
    [*start_ids, *ids[:room], 103] for _, ids in kept
  ]
  assert examples.num_truncated == sum(len(ids) > room for _, ids in kept)
  assert examples.num_start == len(start_ids)
  halves = (rows[:7], rows[7:])
  blocks = [
    Examples.collect(
      half, input_length=input_length, start_ids=start_ids, end_id=103
    )
    for half in halves
  ]
  joined = Examples.joined(blocks)
  assert joined.tokens.tolist() == examples.tokens.tolist()
  assert joined.num_start == examples.num_start
