import numpy as np
import pytest

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
