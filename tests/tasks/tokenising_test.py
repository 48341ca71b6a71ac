import itertools

import numpy as np
import pytest

from genret.core.text import Tokenizer
from genret.tasks import tokenising
from genret.tasks.examples import BLOCK_TEXTS, Examples
from genret.tasks.indexing import D2Q, DaQ

NUM_QUERIES = (tokenising.ALONE + 5) * BLOCK_TEXTS + 3


@pytest.fixture(scope="module")
def queries(tmp_path_factory):
  path = tmp_path_factory.mktemp("queries") / "queries.tsv"
  path.write_text("".join(f"{'abc'[i % 3]}\t{i}\n" for i in range(NUM_QUERIES)))
  return D2Q(rate=1.0, path=str(path))


def test_processes_give_what_one_gives(queries, small):
  one, two = (
    Examples.joined(
      tokenising.blocks(queries, small, input_length=16, num_processes=count)
    )
    for count in (1, 2)
  )
  assert one.num_examples == NUM_QUERIES
  for name in ("tokens", "offsets", "documents"):
    assert np.array_equal(getattr(one, name), getattr(two, name))


def test_processes_end_with_a_reader_that_stops(queries, small):
  blocks = tokenising.blocks(queries, small, input_length=16, num_processes=2)
  taken = list(itertools.islice(blocks, tokenising.ALONE + 1))
  blocks.close()
  assert taken[-1].num_examples == BLOCK_TEXTS


def test_blocks_are_the_examples_of_the_task(squad):
  config = DaQ(rate=1.0, num_spans=2)
  blocks = tokenising.blocks(config, squad, input_length=32)
  found = Examples.joined(blocks)
  whole = config.examples(squad, Tokenizer(), input_length=32)
  assert np.array_equal(found.tokens, whole.tokens)
  assert found.num_truncated == whole.num_truncated
