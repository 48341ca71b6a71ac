"""Batches: every input once, in few shapes."""

import hypothesis
import hypothesis.strategies as st

from genret.retrieval.batches import BATCH_SIZES, batches, lengths


@hypothesis.given(
  sizes=st.lists(st.integers(1, 70), max_size=150), longest=st.integers(1, 70)
)
def test_every_input_is_in_one_batch_that_holds_it(sizes, longest):
  tokens = [[number + 1] * size for number, size in enumerate(sizes)]
  seen = []
  for batch in batches(tokens, longest=longest):
    assert len(batch.rows) in BATCH_SIZES
    assert max(map(len, batch.rows)) <= batch.length
    mine = [tokens[number] for number in batch.numbers]
    assert batch.rows[: len(mine)] == mine
    seen += batch.numbers
  assert sorted(seen) == list(range(len(sizes)))


@hypothesis.given(
  sizes=st.lists(st.integers(1, 1000), max_size=20),
  longest=st.integers(1, 1000),
)
def test_inputs_that_are_not_too_long_have_few_lengths(sizes, longest):
  tokens = [[1] * min(size, longest) for size in sizes]
  known = lengths(longest)
  assert len(known) <= 7
  assert {b.length for b in batches(tokens, longest=longest)} <= set(known)


def test_an_input_too_long_is_padded_to_its_own_length():
  [batch] = batches([[1] * 50, [1] * 3], longest=40)
  assert batch.length == 50
