"""Batches of pairs: whose they are, and the same after a restart."""

import json

import numpy as np
import pytest

from genret.core.errors import ConfigError
from genret.tasks.documents import Documents
from genret.tasks.examples import Examples
from genret.tasks.pair_feed import PairBatches, Shard, padded_length
from genret.tasks.pairs import Pairs
from genret.tasks.states import StateRows
from genret.tasks.stream import Ingredient

COUNT = 50


def examples(rows):
  return Examples.collect(rows, input_length=40)


@pytest.fixture(scope="module")
def pairs():
  """Text i, whose ids are i + 2 again and again, is of document i."""
  texts = [(i, [i + 2] * (1 + i % 20)) for i in range(COUNT)]
  documents = [(i, [i + 2] * 3) for i in range(COUNT)]
  return Pairs(
    ingredients=[
      Ingredient(
        examples=examples(texts), first_place=1, token_dropout=(0.3, 0.5)
      )
    ],
    documents=Documents.of(examples(documents), COUNT),
  )


# The next document, and the one after that for every other text.
NEGATIVES = np.array(
  [[(i + 1) % COUNT, (i + 2) % COUNT if i % 2 else -1] for i in range(COUNT)]
)


def opened(pairs, **given):
  given = {"batch_size": 8, "seed": 3, "identity": {"mixture": "m"}} | given
  return PairBatches(pairs, **given)


def test_a_text_stands_beside_its_document(pairs):
  batch = next(opened(pairs))
  own = batch["inputs"][:, 0] - 2
  assert batch["documents"].shape == (8, 1, 16)
  np.testing.assert_array_equal(batch["documents"][:, 0, 0], own + 2)
  np.testing.assert_array_equal(
    batch["numbers"][:, 0], pairs.documents.numbers[own]
  )
  np.testing.assert_array_equal(batch["known"], batch["numbers"])
  assert {part.dtype.name for part in batch.values()} == {"int32"}


def test_negatives_are_drawn_of_those_offered(pairs):
  feed = opened(pairs, negatives=NEGATIVES, num_negatives=1)
  seen = set()
  for _ in range(40):
    batch = next(feed)
    own, drawn = (batch["documents"][:, i, 0] - 2 for i in (0, 1))
    for a, b in zip(own.tolist(), drawn.tolist(), strict=True):
      assert b in NEGATIVES[a]
      seen.add((a, b))
  assert len({a for a, _ in seen}) < len(seen)  # not always the same


def test_too_few_negatives_are_filled_up_at_random(pairs):
  feed = opened(pairs, negatives=NEGATIVES, num_negatives=3)
  batches = [next(feed) for _ in range(20)]
  drawn = np.concatenate([batch["documents"][:, 3, 0] for batch in batches])
  assert batches[0]["documents"].shape[:2] == (8, 4)
  assert len(set(drawn.tolist())) > 30


def test_a_restart_anywhere_gives_the_same_batches(pairs):
  given = {"negatives": NEGATIVES, "num_negatives": 1, "batch_size": 100}
  feed = opened(pairs, **given)
  for _ in range(40):  # into the next chunk
    next(feed)
  state = json.loads(json.dumps(feed.state()))
  expected = next(feed)
  again = opened(pairs, **given)
  again.restore(state)
  found = next(again)
  for name, part in expected.items():
    np.testing.assert_array_equal(found[name], part)
  with pytest.raises(ConfigError, match="seed was 3 there and is 4 here"):
    opened(pairs, **given, seed=4).restore(state)


def test_shards_read_different_texts_of_one_shape(pairs):
  found = [next(opened(pairs, shard=Shard(index=i, count=2))) for i in range(2)]
  assert [batch["inputs"].shape for batch in found] == [(8, 32)] * 2
  assert not np.array_equal(found[0]["inputs"], found[1]["inputs"])


def test_states_are_those_of_the_tokens_that_are_read(pairs):
  """Here a token's state is its id."""
  read = [pairs.ingredients[0].examples, pairs.documents.examples]
  rows = StateRows([one.tokens[:, None].astype(np.float16) for one in read])
  batch = next(
    opened(pairs, negatives=NEGATIVES, num_negatives=1, states=lambda: rows)
  )
  for name in ("inputs", "documents"):
    states = batch[f"{name}_states"]
    np.testing.assert_array_equal(states[..., 0], batch[name])


def test_negatives_of_other_texts_are_refused(pairs):
  with pytest.raises(ConfigError, match=r"\[49, 2\]; expected a row for each"):
    opened(pairs, negatives=NEGATIVES[1:], num_negatives=1)


def test_rows_have_few_lengths():
  found = [padded_length(length) for length in range(1, 2049)]
  assert sorted(set(found)) == [
    *(16, 32, 64, 128, 256, 512),
    *(768, 1024, 1280, 1536, 1792, 2048),
  ]
  assert all(size >= length for length, size in enumerate(found, start=1))
